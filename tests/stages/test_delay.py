"""Delays: service times have the asked moments and depend on row and seed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.stages.delay import ServiceTimes
from tests.pipelines import plan
from tests.stages.opening import CLOSED


def times(count: int, seed: int = 1, **options: Any) -> np.ndarray[Any, Any]:
    planned = plan({"delay": options}, load={**CLOSED, "seed": seed})
    drawn = ServiceTimes(planned.stages[0].options, planned.seed("s0"))
    return np.array([drawn[row] for row in range(count)], np.float64)


def test_service_times_have_the_moments_that_were_asked_for() -> None:
    n = 40_000
    exponential = times(n, distribution="exponential", mean="2 ms")
    assert exponential.mean() == pytest.approx(2e6, rel=4 / np.sqrt(n))
    assert exponential.std() / exponential.mean() == pytest.approx(1, rel=0.03)
    lognormal = times(n, distribution="lognormal", mean="2 ms", cv=0.5)
    assert lognormal.mean() == pytest.approx(2e6, rel=2 / np.sqrt(n))
    assert lognormal.std() / lognormal.mean() == pytest.approx(0.5, rel=0.05)
    assert (times(10, distribution="constant", mean="2 ms") == 2e6).all()


def test_empirical_service_times_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("1 ms\n3 ms  # slow\n\n")
    drawn = times(2000, distribution="empirical", file=str(tmp_path / "times.txt"))
    assert set(drawn) == {1e6, 3e6}
    assert (drawn == 1e6).mean() == pytest.approx(0.5, abs=0.05)


def test_a_rows_service_time_depends_on_nothing_but_row_and_seed() -> None:
    planned = plan({"delay": {"mean": "1 ms"}}, load=CLOSED)
    options, seed = planned.stages[0].options, planned.seed("s0")
    forwards, backwards = ServiceTimes(options, seed), ServiceTimes(options, seed)
    rows = [0, 5000, 4095, 4096, 9000]
    assert [forwards[row] for row in rows] == [backwards[row] for row in reversed(rows)][::-1]
    assert not np.array_equal(times(100, seed=1), times(100, seed=2))
