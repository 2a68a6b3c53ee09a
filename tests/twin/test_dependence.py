"""Services that are alike for a while are drawn in blocks, and the tail that they make comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan import Plan
from harness.records import RunRecords
from harness.twin import Demand, compiled, of_plan
from harness.twin.dependence import block_length, positions, starts
from harness.twin.pipeline import START_NS
from harness.twin.service_profile import profile_of
from tests.pipelines import plan


def wandering(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """A standard normal series whose correlation falls by 1/e in `memory` steps."""
    phi = np.exp(-1 / memory)
    noise = rng.standard_normal(n) * np.sqrt(1 - phi**2)
    series = np.empty(n)
    series[0] = rng.standard_normal()
    for i in range(1, n):
        series[i] = phi * series[i - 1] + noise[i]
    return series


def test_independent_values_are_drawn_one_by_one() -> None:
    rng = np.random.default_rng(1)
    alone = [block_length(rng.exponential(1, 2000)) for _ in range(200)]
    assert np.mean(np.array(alone) == 1) > 0.9
    assert block_length(np.ones(500)) == 1


@pytest.mark.parametrize("memory", [3.0, 10.0])
def test_a_block_is_as_long_as_the_series_remembers(memory: float) -> None:
    """The ranks of a normal AR(1) have nearly its autocorrelation time, coth(1 / (2 memory))."""
    rng = np.random.default_rng(2)
    time = 1 / np.tanh(1 / (2 * memory))
    found = np.median([block_length(np.exp(wandering(8000, memory, rng))) for _ in range(20)])
    assert found == pytest.approx(5 * time, rel=0.2)


def test_one_request_that_hung_hides_nothing() -> None:
    series = wandering(3000, 10, np.random.default_rng(3))
    spiked = series.copy()
    spiked[1500] = 1e6
    assert block_length(spiked) == pytest.approx(block_length(series), rel=0.05)


@given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 500), st.integers(0, 2**32))
def test_positions_are_blocks_of_neighbours(length: int, block: int, count: int, seed: int) -> None:
    begins = starts(count, block, np.random.default_rng(seed))
    at = positions(begins, length, block, count)
    assert len(at) == count
    assert ((at >= 0) & (at < length)).all()
    steps = (np.diff(at) % length == 1 % length) | (np.arange(1, count) % block == 0)
    assert steps.all()


def drifting(n: int, seed: int) -> tuple[Plan, RunRecords]:
    """A queue at 0.7 whose service is a third slower or quicker for some thirty requests."""
    shape = plan(
        {"delay": {"name": "server", "capacity": 4000}},
        load={"arrivals": "poisson", "rate": "70/s", "requests": n},
    )
    rng = np.random.default_rng(seed)
    service = (10e6 * np.exp(0.25 * wandering(n, 30, rng) - 0.03)).astype(np.int64)[:, None]
    due = START_NS + np.cumsum(rng.exponential(1e9 / 70, n)).astype(np.int64)
    return shape, compiled.simulate(of_plan(shape), Demand((service,), due))


def test_the_tail_of_a_machine_that_is_slow_at_times() -> None:
    shape, records = drifting(30_000, 7)
    profile, pipeline = profile_of(shape, records), of_plan(shape)
    _, much = drifting(400_000, 8)
    true = np.quantile(much.completed - much.due, 0.99)

    def predicted(block: int | None) -> float:
        found = []
        for seed in range(20):
            service = profile.draw(pipeline, len(records), np.random.default_rng(seed), block=block)
            again = compiled.simulate(pipeline, Demand(service, np.ascontiguousarray(records.due)))
            found.append(again.completed - again.due)
        return float(np.quantile(np.concatenate(found), 0.99))

    assert predicted(None) == pytest.approx(true, rel=0.1)
    assert predicted(1) < 0.8 * true


def test_stages_are_drawn_from_the_same_moments() -> None:
    """A batch that was slow meets the requests that were slow before it."""
    shape = plan(
        {"delay": {"name": "single", "capacity": 64}},
        {"delay": {"name": "batch", "capacity": 64, "batch": {"max": 4, "timeout": "2 ms"}}},
        load={"arrivals": "poisson", "rate": "100/s", "requests": 4000},
    )
    rng = np.random.default_rng(8)
    slow = np.exp(0.3 * wandering(4000, 40, rng))
    service = (5e6 * slow).astype(np.int64)[:, None], (6e6 * slow[:, None] * (1.0, 1.3, 1.6, 1.9)).astype(np.int64)
    due = START_NS + np.cumsum(rng.exponential(1e7, 4000)).astype(np.int64)
    profile = profile_of(shape, compiled.simulate(of_plan(shape), Demand(service, due)))
    first, second = profile.draw(of_plan(shape), 4000, np.random.default_rng(1))
    assert np.corrcoef(np.log(first[:, 0]), np.log(second[:, 0]))[0, 1] > 0.8
    one_by_one = replace(profile, together=profile.together[rng.permutation(4000)])
    first, second = one_by_one.draw(of_plan(shape), 4000, np.random.default_rng(1))
    assert abs(np.corrcoef(np.log(first[:, 0]), np.log(second[:, 0]))[0, 1]) < 0.1
