"""Durations, rates and CPUs are read as people write them, to the nanosecond, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.units import LAST_CPU, format_cpus, format_duration, format_rate, parse_cpus, parse_duration, parse_rate

YEAR_NS = 365 * 24 * 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5 ms", 5_000_000),
        ("5ms", 5_000_000),
        (" 1.5 s ", 1_500_000_000),
        ("250 us", 250_000),
        ("250 µs", 250_000),
        ("1 ns", 1),
        ("2 min", 120_000_000_000),
        ("1 h", 3_600_000_000_000),
        ("1e3 ms", 1_000_000_000),
        ("0 s", 0),
        (0, 0),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["5", 5, 5.0, "ms", "5 msec", "-5 ms", "1,5 s", "", "5 ms 3 us", None, True, [], "nan s"]
)
def test_a_duration_without_a_known_unit_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 5 ms"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1e99 s", "9e999999 ns", "10000 h"])
def test_a_duration_beyond_a_year_is_refused(text):
    with pytest.raises(ValueError, match="at most a year"):
        parse_duration(text)


def test_decimal_fractions_are_exact():
    assert parse_duration("0.1 s") * 3 == parse_duration("0.3 s") == 300_000_000
    assert parse_duration("1.000000001 s") == 1_000_000_001


@given(st.integers(0, YEAR_NS))
def test_a_duration_is_read_back_as_it_was_written(ns):
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.parametrize(("text", "rps"), [("20/s", 20.0), ("20 / s", 20.0), ("1200/min", 20.0), ("3600/h", 1.0)])
def test_a_rate_is_a_number_per_unit_of_time(text, rps):
    assert parse_rate(text) == pytest.approx(rps, rel=1e-15)


@pytest.mark.parametrize("text", ["20", 20, "20/ms", "0/s", "-1/s", "/s", "20 s", None, "1e400/s", "1e-9/s", "nan/s"])
def test_a_rate_that_cannot_be_offered_is_refused(text):
    with pytest.raises(ValueError, match="a rate above 0 with its unit, such as 20/s"):
        parse_rate(text)


@given(st.floats(1e-6, 1e9))
def test_a_rate_is_read_back_to_the_last_bit(rps):
    assert parse_rate(format_rate(rps)) == rps


CPUS = st.sets(st.integers(0, 40) | st.integers(0, LAST_CPU), min_size=1, max_size=20)


@given(CPUS)
def test_a_list_of_cpus_is_read_back_as_it_was_written_however_it_is_given(cpus):
    written = format_cpus(sorted(cpus))
    assert parse_cpus(written) == parse_cpus(list(cpus)) == parse_cpus(written.split(",")) == tuple(sorted(cpus))
    assert parse_cpus(f" {written} ".replace(",", " , ").replace("-", " - ")) == tuple(sorted(cpus))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=9))
def test_ranges_of_cpus_may_overlap_and_come_in_any_order(ranges):
    text = ",".join(f"{first}-{first + more}" for first, more in ranges)
    assert set(parse_cpus(text)) == {cpu for first, more in ranges for cpu in range(first, first + more + 1)}


@pytest.mark.parametrize(
    "given", ["", "3-2", "a", "1,,2", "-1", -1, 1.5, True, None, [], [[2]], "0-7:1/2", str(LAST_CPU + 1), "0-99999999"]
)
def test_what_is_no_list_of_cpus_is_refused_with_an_example(given):
    with pytest.raises(ValueError, match="such as 2, 2-3 or 0-1,4"):
        parse_cpus(given)
