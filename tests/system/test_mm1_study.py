"""Long runs of a real single-server queue against the exact M/M/1 answer.

pytest -m study tests/system/test_mm1_study.py
"""

from __future__ import annotations

import math

import pytest

from harness.stats.quantiles import quantile
from tests.pipelines import run

MEAN_MS, RATE, REQUESTS = 10, 40, 35_000  # utilisation 0.4, as scenarios/mm1.yaml; standard error of p90: 1.4 %


@pytest.mark.study
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_sojourn_times_are_those_of_mm1(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "exponential", "mean": f"{MEAN_MS} ms", "capacity": 16_384}},
        load={"arrivals": "poisson", "rate": f"{RATE}/s", "requests": REQUESTS, "warmup": 200},
        executor=executor,
    ).records.select(slice(200, None))
    sojourn_ms = (records.completed - records.due) / 1e6
    for q in (0.5, 0.9):
        exact_ms = -math.log(1 - q) / (1 / MEAN_MS - RATE / 1000)
        measured_ms = quantile(sojourn_ms, q)
        print(f"{executor}: p{q * 100:.0f} measured {measured_ms:.3f} ms, exact {exact_ms:.3f} ms")
        assert measured_ms == pytest.approx(exact_ms, rel=0.05)
