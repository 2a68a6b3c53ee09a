"""Readings of the number in flight: of a load of any length a bounded number, equally far apart."""

from __future__ import annotations

import numpy as np
import pytest

from harness.executors import readings
from harness.executors.readings import Readings


def taken(count: int) -> tuple[np.ndarray, np.ndarray]:
    found = Readings()
    for moment in range(count):
        found.add(10 * moment, moment % 7)
    return found.arrays()


def test_all_readings_of_a_short_load_are_kept() -> None:
    at, counts = taken(100)
    assert at.tolist() == list(range(0, 1000, 10))
    assert counts.tolist() == [moment % 7 for moment in range(100)]


@pytest.mark.parametrize("count", [16, 17, 100, 1000])
def test_of_a_long_load_they_are_bounded_equally_far_apart_and_span_it(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "MOST_READINGS", 16)
    at, counts = taken(count)
    assert 8 <= len(at) <= 16
    (step,) = set(np.diff(at).tolist())
    assert at[0] == 0
    assert at[-1] + step >= 10 * count
    assert (counts == at // 10 % 7).all()
