"""What both executors do with a Plan, against answers that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import StalledError
from harness.executors.pipeline import saturated_rate
from harness.executors.session import execute
from harness.records import Outcome, Phase
from harness.stages.delay import ServiceTimes
from harness.stats.budget import budget
from harness.stats.checks import ordered
from harness.stats.quantiles import quantile
from tests.pipelines import plan, run
from tests.timing import in_one_of

EXECUTORS = ("process", "asyncio")


both = pytest.mark.parametrize("executor", EXECUTORS)
mostly_process = pytest.mark.parametrize("executor", ("process", pytest.param("asyncio", marks=pytest.mark.slow)))


@both
def test_every_stamp_of_every_request_is_there_and_in_order(executor: str) -> None:
    done = run(
        {"null": {"payload": 4096, "capacity": 4}},
        {"null": {"batch": {"max": 3, "timeout": "1 ms"}, "capacity": 4}},
        {"null": {"workers": 2, "capacity": 2}},
        load={"arrivals": "poisson", "rate": "1500/s", "requests": 600},
        executor=executor,
    )
    assert len(done.records) == 600
    assert (done.records.outcome == Outcome.COMPLETED).all()
    assert ordered(done.records).level == "ok"
    assert set(np.unique(done.records.stages[2].worker)) <= {0, 1}


@mostly_process
@in_one_of(3)
def test_a_single_server_queue_follows_lindleys_recursion(executor: str) -> None:
    """The waits are those of W' = max(0, W + S - A), with the due times and the services that the run itself had.

    The same arrivals and services leave no statistical error: what is more is what the executor adds between them.
    """
    execution = run(
        {"delay": {"distribution": "exponential", "mean": "4 ms", "capacity": 4096}},
        load={"arrivals": "poisson", "rate": "150/s", "requests": 300},
        executor=executor,
    )
    records, plan = execution.records, execution.plan
    stage = records.stages[0]
    service = stage.done - stage.started
    drawn = ServiceTimes(plan.stages[0].options, plan.seed("s0"))
    assert (service >= [drawn[row] for row in range(300)]).all(), "a delay is never shorter than what was drawn"
    finish, expected = 0, np.empty(300)
    for i in range(300):
        finish = max(finish, records.due[i]) + service[i]
        expected[i] = finish - records.due[i]
    measured = records.completed - records.due
    assert (measured >= expected).all(), "nothing can be faster than its own service"
    assert np.median(measured - expected) < 2e6, "half a service: no wait is counted twice"
    assert np.corrcoef(measured, expected)[0, 1] > 0.98


@both
@in_one_of(3)
def test_constant_service_at_constant_arrivals_never_waits(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "constant", "mean": "2 ms"}},
        {"delay": {"distribution": "constant", "mean": "3 ms"}},
        load={"arrivals": "constant", "rate": "100/s", "requests": 100},
        executor=executor,
    ).records
    services = sum(stage.done - stage.started for stage in records.stages)
    assert (services >= 5e6).all()
    assert np.median(records.completed - records.due - services) < 2e6, "less than any service: nobody was waited for"
    for stage, expected in zip(records.stages, (2e6, 3e6), strict=True):
        assert np.median(stage.done - stage.started) == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
@both
@in_one_of(3)
def test_two_workers_carry_twice_the_load_of_one(executor: str) -> None:
    def rate(workers: int) -> float:
        records = run(
            {"delay": {"distribution": "constant", "mean": "5 ms", "workers": workers}},
            load={"arrivals": "closed", "concurrency": 4, "requests": 100},
            executor=executor,
        ).records
        return 99 / (np.ptp(records.completed) / 1e9)

    assert rate(2) / rate(1) == pytest.approx(2, rel=0.15)


@both
def test_batches_fill_up_to_their_maximum_and_share_one_service(executor: str) -> None:
    records = run(
        {
            "delay": {
                "distribution": "constant",
                "mean": "5 ms",
                "batch": {"max": 4, "timeout": "50 ms"},
                "capacity": 16,
            }
        },
        load={"arrivals": "closed", "concurrency": 8, "requests": 200},
        executor=executor,
    ).records
    stage = records.stages[0]
    members, sizes = np.unique(stage.batch, return_counts=True)
    assert sizes.max() == 4
    assert np.median(sizes) == 4
    for first in members[:10]:
        together = stage.batch == first
        assert len(np.unique(stage.started[together])) == 1
        assert len(np.unique(stage.done[together])) == 1


@both
@in_one_of(3)
def test_a_batch_that_does_not_fill_starts_at_its_timeout(executor: str) -> None:
    records = run(
        {"null": {"batch": {"max": 8, "timeout": "20 ms"}}},
        load={"arrivals": "constant", "rate": "10/s", "requests": 10},
        executor=executor,
    ).records
    stage = records.stages[0]
    held_ms = (stage.started - stage.taken) / 1e6
    assert np.median(held_ms) == pytest.approx(20, rel=0.1)


@both
def test_a_closed_load_keeps_its_concurrency_in_flight_and_no_more(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "exponential", "mean": "2 ms", "workers": 3}},
        load={"arrivals": "closed", "concurrency": 3, "requests": 300},
        executor=executor,
    ).records
    events = np.concatenate(
        [np.stack([records.issued, np.ones(300)]), np.stack([records.completed, -np.ones(300)])], axis=1
    )
    in_flight = np.cumsum(events[1][np.lexsort((events[1], events[0]))])
    assert in_flight.max() == 3
    assert (records.due >= np.sort(records.due)[0]).all()
    # The next is due when one completes: every due time after the first three is a completion.
    assert np.isin(records.due[3:], records.completed).mean() > 0.99


@both
def test_one_in_flight_is_the_classic_benchmark(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "constant", "mean": "1 ms"}},
        load={"arrivals": "closed", "concurrency": 1, "requests": 50, "warmup": 5},
        executor=executor,
    ).records
    assert (records.of_phase(Phase.WARMUP).due < records.of_phase(Phase.MEASURED).due.min()).all()
    assert len(records.of_phase(Phase.WARMUP)) == 5
    assert (records.issued[1:] >= records.completed[:-1]).all()


@both
@in_one_of(3)
def test_shedding_drops_what_finds_the_channel_full_and_serves_the_rest(executor: str) -> None:
    """One slot, 10 ms of service, an arrival every 2 ms: one in five is served, and none of those waits."""
    records = run(
        {"delay": {"distribution": "constant", "mean": "9.7 ms", "capacity": 1}},
        load={"arrivals": "constant", "rate": "500/s", "requests": 500},
        on_full="shed",
        executor=executor,
    ).records
    counts = np.bincount(records.outcome, minlength=5)
    assert counts[Outcome.COMPLETED] + counts[Outcome.DROPPED] == 500
    assert counts[Outcome.COMPLETED] == pytest.approx(100, rel=0.1)
    served = records.with_outcome(Outcome.COMPLETED)
    assert np.median(served.completed - served.due) == pytest.approx(9.7e6, rel=0.1)


@both
@in_one_of(3)
def test_blocking_holds_requests_back_and_counts_it_from_due(executor: str) -> None:
    """One slot and twice the load it carries: the backlog lies in front of the pipeline, and latency shows it."""
    execution = run(
        {"delay": {"distribution": "constant", "mean": "4 ms", "capacity": 1}},
        load={"arrivals": "constant", "rate": "500/s", "requests": 200},
        executor=executor,
    )
    records = execution.records
    stage = records.stages[0]
    e2e = records.completed - records.due
    backlog_ns = (stage.done - stage.started).sum() - np.ptp(records.due)
    assert e2e[-1] >= backlog_ns > 350e6, "the last waits for the service of all before it"
    assert np.median(records.completed - records.issued) < 0.1 * e2e[-1], "response time does not show it"
    split = budget(records)
    assert split.components["s0.blocked"].sum() > 0.9 * split.e2e.sum()
    assert split.components["producer"].sum() < 0.05 * split.e2e.sum(), "the producer itself was not late"


@mostly_process
@in_one_of(3)
def test_a_stall_of_one_second_shows_in_the_tail_of_an_open_load(executor: str) -> None:
    """Without coordinated omission: every request that is due during the stall waits for its rest.

    At 200/s a stall of 1 s delays some 250 of 400 requests, the first by 1 s and each later one by 4 ms less (it is due
    5 ms later, and the one before it takes 1 ms), so the slowest percent lies between 0.96 s and 1 s.
    """
    records = run(
        {"delay": {"distribution": "constant", "mean": "1 ms", "stall": {"request": 100, "duration": "1 s"}}},
        load={"arrivals": "constant", "rate": "200/s", "requests": 400, "warmup": 10},
        executor=executor,
    ).records.of_phase(Phase.MEASURED)
    e2e_ms = (records.completed - records.due) / 1e6
    stalled = int(np.argmax(records.stages[0].done - records.stages[0].started))
    end = records.stages[0].done[stalled]
    behind = (records.due > records.due[stalled]) & (records.due < end)
    assert behind.sum() == pytest.approx(200, abs=2)
    assert (records.completed[behind] > end).all()
    # Those due in its first 900 ms, and as many of the others as the machine's pace makes of the 45 at 1 ms each.
    assert 178 <= (e2e_ms > 100).sum() < 300
    assert 880 < quantile(e2e_ms, 0.99) < 1010
    service_ms = (records.stages[0].done - records.stages[0].started) / 1e6
    assert (service_ms > 100).sum() == 1


@mostly_process
@in_one_of(3)
def test_the_budget_adds_up_request_by_request_and_leaves_little_over(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "exponential", "mean": "2 ms", "capacity": 3}},
        {"delay": {"distribution": "lognormal", "mean": "6 ms", "cv": 0.5, "batch": {"max": 3, "timeout": "2 ms"}}},
        {"delay": {"distribution": "constant", "mean": "1 ms", "capacity": 1}},
        load={"arrivals": "poisson", "rate": "200/s", "requests": 400},
        executor=executor,
    ).records
    split = budget(records)
    assert (np.sum(list(split.components.values()), axis=0) == split.e2e).all()
    for name, part in split.components.items():
        assert part.min() >= -1000, name
    assert quantile(np.abs(split.components["residual"]), 0.9) < 0.02 * quantile(split.e2e, 0.5)


@mostly_process
@in_one_of(3)
def test_a_calibrated_load_offers_the_fraction_of_what_the_pipeline_carries(executor: str) -> None:
    execution = run(
        {"delay": {"distribution": "constant", "mean": "4 ms", "batch": {"max": 2, "timeout": "0 ms"}}},
        load={"arrivals": "poisson", "utilisation": 0.5, "calibration": "1 s", "requests": 100},
        executor=executor,
    )
    assert execution.saturated_rps is not None
    assert 300 < execution.saturated_rps < 510, "two every 4 ms, less what the hand-over costs"
    assert execution.offered_rps == pytest.approx(0.5 * execution.saturated_rps)
    assert len(execution.records.of_phase(Phase.MEASURED)) == 100
    assert len(execution.records.of_phase(Phase.SATURATION)) > 200


@mostly_process
@in_one_of(3)
def test_a_duration_ends_an_open_and_a_closed_load(executor: str) -> None:
    delay = {"delay": {"distribution": "constant", "mean": "1 ms"}}
    opened = run(delay, load={"arrivals": "constant", "rate": "100/s", "duration": "1 s"}, executor=executor).records
    assert len(opened) == pytest.approx(100, abs=1)
    closed = run(delay, load={"arrivals": "closed", "duration": "1 s"}, executor=executor).records
    assert np.ptp(closed.due) / 1e9 == pytest.approx(1, rel=0.05)


def test_saturated_rate_is_right_when_batches_complete_in_steps() -> None:
    batches = np.repeat(np.arange(1, 26) * 40_000_000, 4)  # 4 every 40 ms
    assert saturated_rate(batches, 0, 26 * 40_000_000) == pytest.approx(100, rel=0.01)


def test_a_saturated_rate_is_not_that_within_one_batch() -> None:
    """One batch is done, within microseconds, when the last request is offered; three more follow."""
    batches = (np.arange(1, 5)[:, None] * 2_000_000_000 + np.arange(4) * 1000).reshape(-1)
    assert saturated_rate(batches, 0, 3_000_000_000) == pytest.approx(2, rel=0.2)
    with pytest.raises(StalledError, match="too short"):
        saturated_rate(batches[:4], 0, 3_000_000_000)


@pytest.mark.slow
def test_resident_memory_is_flat_over_100_000_requests() -> None:
    """Records, slots and images are touched before the first request, and nothing is kept for one after it."""
    execution = run(
        *({"null": {"payload": 602_112, "capacity": 16}} for _ in range(3)),
        load={"arrivals": "closed", "concurrency": 16, "requests": 100_000},
    )
    for worker in execution.workers:
        assert worker.first is not None and worker.last is not None
        assert worker.last.rss_mb - worker.first.rss_mb < 1, worker.name


@both
@in_one_of(3)
def test_the_duration_of_a_closed_load_begins_behind_its_warm_up(executor: str) -> None:
    records = run(
        {"delay": {"distribution": "constant", "mean": "30 ms"}},
        load={"arrivals": "closed", "duration": "300 ms", "warmup": 15},
        executor=executor,
    ).records
    assert 5 <= len(records.of_phase(Phase.MEASURED)) <= 11
    assert len(records.of_phase(Phase.WARMUP)) == 15


@pytest.mark.slow
@both
def test_a_duration_cuts_a_trace_and_lasts_for_bursts(executor: str, tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("\n".join(str(i / 100) for i in range(100)))
    null = {"null": {}}
    trace = {"arrivals": "trace", "file": str(tmp_path / "trace.txt"), "duration": "500 ms"}
    assert len(run(null, load=trace, executor=executor).records) == pytest.approx(50, abs=1)
    bursts = {"arrivals": "bursts", "rate": "500/s", "on_time": "100 ms", "off_time": "400 ms", "duration": "1500 ms"}
    assert np.ptp(run(null, load=bursts, executor=executor).records.due) > 0.75e9


def test_a_pipeline_that_does_not_fit_into_memory_is_refused_before_anything_starts() -> None:
    too_much = plan(
        {"null": {"payload": 2**31}}, {"null": {"capacity": 16_384}}, load={"arrivals": "closed", "requests": 1}
    )
    execution = execute(too_much)
    assert execution.error is not None
    assert "60 % of the memory that is left" in str(execution.error)
    assert execution.workers == ()
