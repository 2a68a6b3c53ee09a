"""Figures are written with the digits that were promised, and never as an exponent or a minus zero."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.numbers import ms, percent, rate, significant

RATES = st.floats(1e-6, 1e9)


def read(text: str) -> float:
    return float(text.replace(",", "").removesuffix("/s").removesuffix(" %"))


@given(RATES)
@example(999.6)
@example(99.95)
@example(9.995e6)
def test_a_rate_is_read_back_to_three_digits_and_has_no_exponent(rps):
    text = rate(rps)
    assert "e" not in text
    assert text.endswith("/s")
    assert read(text) == pytest.approx(rps, rel=0.0051)


@given(st.floats(-1e9, 1e9), st.integers(1, 6))
@example(-0.0, 3)
@example(0.99999, 3)
def test_a_figure_is_read_back_to_its_digits(value, digits):
    text = significant(value, digits)
    assert "e" not in text
    assert text != "-0"
    assert read(text) == pytest.approx(value, rel=0.5000001 * 10 ** (1 - digits), abs=0)
    assert significant(read(text), digits) == text


@given(st.floats(-1e7, 1e7))
@example(-0.0004)
def test_milliseconds_are_read_back_to_a_microsecond_or_three_digits(value):
    text = ms(value)
    assert "e" not in text
    assert text != "-0"
    assert read(text) == pytest.approx(value, rel=0.0051, abs=0.000501)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rate(999.6), "1,000/s"), (rate(30.0), "30/s"), (rate(12345.6), "12,346/s"), (rate(0.00001234), "0.0000123/s"),
        (rate(99.96), "100/s"), (rate(None), "-"), (ms(None), "-"), (ms(1234.5), "1,234"), (ms(0.6918), "0.692"),
        (percent(0.1234), "12.3 %"), (percent(0.0951, 2), "9.5 %"), (percent(2.5, 2), "250 %"), (percent(-0.0), "0 %"),
        (significant(float("inf")), "inf"),
    ],
)  # fmt: skip
def test_it_looks_like(written, text):
    assert written == text
