"""Intervals of shares and of paired differences cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.proportions import paired_difference, share


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 5000), st.sampled_from((0.9, 0.95, 0.999)))
def test_a_share_has_the_interval_that_scipy_gives_it(count: int, of: int, confidence: float) -> None:
    from scipy.stats import binomtest

    found = share(min(count, of), of, confidence)
    expected = binomtest(found.count, of).proportion_ci(confidence, method="wilson")
    assert found.lo == pytest.approx(expected.low, abs=1e-9)
    assert found.hi == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= found.lo <= found.value <= found.hi <= 1


def test_a_paired_difference_covers_what_it_should() -> None:
    """4,000 draws of 100 images, right in 90 % and 88 % of the cases and mostly in the same."""
    rng = np.random.default_rng(1)
    draws = rng.multinomial(100, (0.86, 0.04, 0.02, 0.08), 4000)
    intervals = [paired_difference(*map(int, row)) for row in np.unique(draws, axis=0)]
    held = {tuple(row): i.lo <= 0.02 <= i.hi for row, i in zip(np.unique(draws, axis=0), intervals, strict=True)}
    covered = np.mean([held[tuple(row)] for row in draws])
    assert 0.935 < covered < 0.985


@settings(deadline=None)
@given(*[st.integers(0, 60)] * 4)
def test_a_paired_difference_turns_round_with_its_sides(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    one, other = paired_difference(a, b, c, d), paired_difference(a, c, b, d)
    assert one.value == pytest.approx(-other.value)
    assert one.lo == pytest.approx(-other.hi, abs=1e-9)
    assert -1 - 1e-9 <= one.lo <= one.value <= one.hi <= 1 + 1e-9
