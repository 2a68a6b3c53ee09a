"""What the twin made, its service profile finds again: service times, batch sizes, hops, turnarounds; and replay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.plan import Plan
from harness.records import Outcome, Phase, RunRecords
from harness.twin import Demand, Overhead, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.replay import replay
from harness.twin.service_profile import MIN_SAMPLES, StageSamples, profile_of
from tests.pipelines import plan

OVERHEADS = {
    "single": Overhead(70_000, 40_000),
    "batch": Overhead(90_000, 30_000, 110_000),
    "last": Overhead(50_000, 20_000),
}
SHAPE = (
    {"delay": {"name": "single", "mean": "4 ms", "capacity": 8}},
    {"delay": {"name": "batch", "mean": "9 ms", "capacity": 8, "batch": {"max": 4, "timeout": "3 ms"}}},
    {"delay": {"name": "last", "mean": "1 ms", "workers": 2, "capacity": 3}},
)


def service(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    sizes = np.array([1.0, 1.4, 1.8, 2.2])
    times = rng.gamma(4, 1e6, (n, 1)), rng.gamma(9, 1e6, (n, 1)) * sizes, rng.gamma(2, 5e5, (n, 1))
    return tuple(t.astype(np.int64) + 1 for t in times)


def made(n: int = 6000, rate: float = 150, **load: object) -> tuple[Plan, RunRecords]:
    shape = plan(*SHAPE, load={"arrivals": "poisson", "rate": f"{rate}/s", "requests": n - 100, "warmup": 100, **load})
    rng = np.random.default_rng(5)
    due = START_NS + np.cumsum(rng.exponential(1e9 / rate, n)).astype(np.int64)
    return shape, compiled.simulate(of_plan(shape, OVERHEADS), Demand(service(n, rng), due, warmup=100))


def test_overheads_come_back_exactly() -> None:
    shape, records = made()
    assert profile_of(shape, records).overheads == OVERHEADS


def test_samples_are_the_measured_service_times_of_each_batch() -> None:
    shape, records = made()
    batch = profile_of(shape, records).stage("batch")
    assert batch is not None
    measured = records.of_phase(Phase.MEASURED).stage(1)
    assert int(batch.size.sum()) == len(measured.done)
    assert set(batch.service_ns) == set(measured.done - measured.started)
    fixed, per_request = batch.cost
    assert fixed + per_request == pytest.approx(9e6, rel=0.03)
    assert per_request == pytest.approx(0.4 * 9e6, rel=0.1)


def test_warm_up_failed_and_dropped_requests_are_left_out() -> None:
    shape, records = made()
    outcome = records.layout.columns["outcome"]
    records.rows[200:300, outcome] = Outcome.FAILED
    slow = records.layout.columns["single.done"]
    records.rows[:100, slow] += 10**12
    single = profile_of(shape, records).stage("single")
    assert single is not None
    assert len(single.size) == 5900 - 100
    assert single.service_ns.max() < 10**11


def test_drawing_repeats_with_its_seed_and_keeps_the_mean_of_each_size() -> None:
    shape, records = made()
    profile, pipeline = profile_of(shape, records), of_plan(shape)
    first, again, other = (profile.draw(pipeline, 50_000, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1], other[1])
    assert [s.shape for s in first] == [(50_000, 1), (50_000, 4), (50_000, 1)]
    batch = profile.stage("batch")
    assert batch is not None
    for size in range(1, 5):
        own = batch.of_size(size)
        assert abs(first[1][:, size - 1].mean() - own.mean()) < 4 * own.std() / np.sqrt(50_000)


def test_a_size_that_was_hardly_measured_is_scaled_from_the_others() -> None:
    rng = np.random.default_rng(2)
    size = np.repeat([1, 2, 4], [200, 200, MIN_SAMPLES - 1])
    stage = StageSamples("s", (size * 2e6 + 5e6 + rng.normal(0, 1e4, len(size))).astype(np.int64), size, Overhead())
    assert stage.measured(2) and not stage.measured(4) and not stage.measured(3)
    assert stage.of_size(3).mean() == pytest.approx(11e6, rel=0.001)
    assert len(stage.of_size(3)) == len(size)


def test_nobody_is_credited_with_a_gain_from_batches_that_were_never_measured() -> None:
    stage = StageSamples("s", np.full(50, 10**6), np.ones(50, np.int64), Overhead())
    assert stage.of_size(4).mean() == 4e6


def test_resampling_keeps_neighbours_together() -> None:
    shape, records = made()
    profile = profile_of(shape, records)
    marks = np.random.default_rng(2).permutation(len(profile.together))  # no neighbours are alike
    drawn = replace(profile, together=marks[:, None]).resampled(np.random.default_rng(1)).together[:, 0]
    order = np.argsort(marks)[drawn]
    assert (np.diff(order) == 1).mean() == pytest.approx(1 - 1 / 18, abs=0.02)
    assert len(np.unique(order)) < len(order)


def test_a_replay_of_what_the_twin_made_is_that_run() -> None:
    shape, records = made()
    again = replay(shape, records)
    assert np.abs(again.measured_ns - again.replayed_ns).max() < 50  # shares of a batch are rounded
    assert again.correlation > 1 - 1e-9


def test_a_replay_shows_what_it_cannot_explain() -> None:
    shape, records = made()
    records.rows[:, records.layout.columns["last.done"]] += 5_000_000
    records.rows[:, records.layout.columns["last.started"]] += 5_000_000
    again = replay(shape, records)
    assert np.median(again.measured_ns - again.replayed_ns) == pytest.approx(5e6, rel=0.01)


def test_a_closed_load_is_replayed_as_one() -> None:
    shape = plan(*SHAPE, load={"arrivals": "closed", "concurrency": 6, "requests": 900, "warmup": 100})
    demand = Demand(service(1000, np.random.default_rng(4)), concurrency=6, warmup=100)
    again = replay(shape, compiled.simulate(of_plan(shape, OVERHEADS), demand))
    assert again.correlation > 0.999


def test_a_run_that_sheds_is_replayed_with_its_losses() -> None:
    shape = plan(*SHAPE, load={"arrivals": "poisson", "rate": "400/s", "requests": 2900, "warmup": 100}, on_full="shed")
    rng = np.random.default_rng(5)
    due = START_NS + np.cumsum(rng.exponential(2.5e6, 3000)).astype(np.int64)
    records = compiled.simulate(of_plan(shape, OVERHEADS), Demand(service(3000, rng), due, warmup=100))
    lost = (records.outcome == Outcome.DROPPED).mean()
    assert 0.2 < lost < 0.8
    again = replay(shape, records)
    assert (again.records.outcome == Outcome.DROPPED).mean() == pytest.approx(lost, abs=0.02)
    assert np.median(again.replayed_ns) == pytest.approx(np.median(again.measured_ns), rel=0.02)
