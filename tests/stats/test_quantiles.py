import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.quantiles import MIN_TAIL, quantile, rank, requests_needed, summarise
from harness.summary import FIGURES

nanoseconds = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


def test_hundred_known_values():
    summary = summarise(np.arange(1, 101, dtype=np.int64) * 1_000_000)
    assert summary == {"mean": 50.5, "p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 100, "min": 1, "max": 100}
    assert tuple(summary) == FIGURES


def test_nothing_is_known_of_no_values():
    assert summarise(np.array([], dtype=np.int64)) == dict.fromkeys(FIGURES)


def test_a_latency_that_is_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        summarise(np.array([1.0, math.nan]))


def test_rank_does_not_fall_for_rounding():
    assert rank(300, 0.99) == 297  # 0.99 * 300 is 297.00000000000006 in floating point
    assert rank(1000, 0.999) == 999


@given(nanoseconds, st.sampled_from([0.0, 0.001, 0.3, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))
def test_a_quantile_is_the_least_value_that_covers_its_share(values, q):
    array = np.array(values, dtype=np.int64)
    result = quantile(array, q)
    assert result in values
    assert np.mean(array <= result) >= q - 1e-12
    assert result == min(values) or np.mean(array < result) < q
    assert result == np.quantile(array, q, method="inverted_cdf")


@given(nanoseconds)
def test_a_summary_is_ordered(values):
    s = summarise(np.array(values, dtype=np.int64))
    assert s["min"] <= s["p50"] <= s["p90"] <= s["p95"] <= s["p99"] <= s["p999"] <= s["max"]
    assert s["min"] <= s["mean"] <= s["max"] or math.isclose(s["min"], s["max"])


def test_the_mean_of_large_times_keeps_its_digits():
    values = np.full(1000, 2**62, dtype=np.int64)
    assert summarise(values)["mean"] == pytest.approx(2**62 / 1e6, rel=1e-12)


def test_requests_needed_scales_with_tail():
    assert requests_needed(0.99) == 100 * MIN_TAIL
    assert requests_needed(0.999) == 1000 * MIN_TAIL
    assert requests_needed(0.01) == requests_needed(0.99)
    with pytest.raises(ValueError, match="between 0 and 1"):
        requests_needed(1.0)
