"""A long series in pieces has the autocorrelations that it has at once."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats import autocorrelation
from harness.stats.autocorrelation import at_once, in_pieces, summed
from harness.stats.intervals import dependent


def clustered(seed: int, n: int, share: float, memory: int) -> np.ndarray:
    """A 0-1 series in which a value tells of those that follow it."""
    levels = np.convolve(np.random.default_rng(seed).normal(size=n + memory), np.ones(memory + 1), "valid")
    return levels > np.quantile(levels, 1 - share)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 3000), st.sampled_from([0.01, 0.1, 0.5]), st.integers(0, 50))
def test_pieces_give_the_covariances_of_the_whole(seed, n, share, memory):
    above = clustered(seed, n, share, memory)
    lags = n // 8 * 2
    for some in {2, lags, max(2, lags // 5 * 2)}:
        assert in_pieces(above, some) == pytest.approx(at_once(above, some), abs=1e-9 * n)


@pytest.mark.parametrize("memory", [0, 30, 900])
def test_the_sum_ends_where_it_does_at_once(memory):
    above = clustered(3, 60_000, 0.05, memory)
    whole = summed(above)
    with mock.patch.multiple(autocorrelation, IN_ONE=0, FIRST_LAGS=64):
        pieces = summed(above)
    assert pieces[0] == pytest.approx(whole[0], rel=1e-9)
    assert pieces[1] == whole[1]


def test_a_series_that_never_forgets_is_followed_as_far_as_is_said():
    above = np.arange(4000) >= 2000
    with mock.patch.multiple(autocorrelation, IN_ONE=0, FIRST_LAGS=16, LONGEST_LAG=256):
        assert summed(above)[1] == 256
    assert summed(above)[1] == 1000


def test_the_interval_of_a_long_run_is_that_of_a_short_one():
    values = np.random.default_rng(1).gamma(2.0, 1e6, 50_000).astype(np.int64)
    values[1:] += values[:-1] // 2
    whole = [dependent(values, q) for q in (0.2, 0.5, 0.99)]
    with mock.patch.multiple(autocorrelation, IN_ONE=0, FIRST_LAGS=32):
        for before, q in zip(whole, (0.2, 0.5, 0.99), strict=True):
            after = dependent(values, q)
            assert (after.lo, after.hi) == (before.lo, before.hi)
            assert after.n_effective == pytest.approx(before.n_effective, rel=1e-9)
