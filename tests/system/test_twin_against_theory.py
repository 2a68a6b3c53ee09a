"""The compiled model against exact results, within four standard errors that are small enough to mean something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from harness import theory
from harness.records import Outcome
from harness.stats.quantiles import quantile
from harness.twin import Demand, Pipeline, Station, compiled
from harness.twin.pipeline import START_NS
from tests.properties import some

SERVICE_NS = 1_000_000
REPLICATIONS, REQUESTS, WARMUP = 20, 100_000, 5_000
PLENTY = 1 << 14

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def exponential(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.exponential(SERVICE_NS, n)


def constant(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.full(n, float(SERVICE_NS))


def simulated(pipeline: Pipeline, draw: Draw, utilisation: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p50 and p99 of the sojourn time in s and the share that was dropped, and the standard error of each."""
    figures = []
    for rng in map(np.random.default_rng, np.random.SeedSequence(7).spawn(REPLICATIONS)):
        gaps = rng.exponential(SERVICE_NS / (utilisation * pipeline.stations[0].workers), REQUESTS)
        service = tuple(
            np.maximum(np.rint(draw(rng, REQUESTS)), 1).astype(np.int64)[:, None] for _ in pipeline.stations
        )
        records = compiled.simulate(pipeline, Demand(service, np.cumsum(gaps).astype(np.int64) + START_NS))
        settled = records.select(slice(WARMUP, None))
        done = settled.with_outcome(Outcome.COMPLETED)
        sojourn = done.completed - done.due
        figures.append([quantile(sojourn, 0.5) / 1e9, quantile(sojourn, 0.99) / 1e9, 1 - len(done) / len(settled)])
    values = np.array(figures)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(REPLICATIONS)


def one(workers: int = 1, capacity: int = PLENTY, shed: bool = False) -> Pipeline:
    return Pipeline((Station("s", workers, capacity),), shed)


S = SERVICE_NS / 1e9
CASES = {
    "M/M/1": (one(), exponential, lambda rho: theory.mm1(rho / S, S)),
    "M/M/2": (one(workers=2), exponential, lambda rho: theory.mmc(2 * rho / S, S, 2)),
    "M/D/1": (one(), constant, lambda rho: theory.md1(rho / S, S)),
    "M/M/1/5": (one(capacity=5, shed=True), exponential, lambda rho: theory.mm1k(rho / S, S, 5)),
    "tandem": (
        Pipeline((Station("a", capacity=PLENTY), Station("b", capacity=PLENTY))),
        exponential,
        lambda rho: theory.tandem(rho / S, [S, S]),
    ),
}


@pytest.mark.parametrize("utilisation", some([0.8, 0.5], few=1))
@pytest.mark.parametrize("name", CASES)
def test_quantiles_are_those_of_theory(name: str, utilisation: float) -> None:
    pipeline, draw, exact = CASES[name]
    predicted = exact(utilisation)
    exactly = np.array([predicted.sojourn.quantile_s(0.5), predicted.sojourn.quantile_s(0.99), predicted.loss])
    found, error = simulated(pipeline, draw, utilisation)
    assert np.all(error[:2] / exactly[:2] < 0.02)
    assert np.all(np.abs(found - exactly) <= 4 * error + 2e-9)


def test_a_capacity_that_blocks_does_not_change_the_sojourn_of_one_stage() -> None:
    """From due on, a request waits the same outside of the first channel as in it."""
    rng = np.random.default_rng(3)
    demand = Demand(
        (np.maximum(rng.exponential(900, (5000, 1)), 1).astype(np.int64),),
        np.cumsum(rng.integers(1, 2000, 5000)),
    )
    small, large = (compiled.simulate(one(capacity=k), demand) for k in (1, PLENTY))
    assert np.array_equal(small.completed, large.completed)
    assert (small.stage(0).accepted - small.issued).max() > 0
