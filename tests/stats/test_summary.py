"""The summary of records that are written by hand, so that every figure has a known answer."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.executors.base import Execution
from harness.plan import Plan
from harness.records import ENDED, Outcome, Phase, RunRecords
from harness.stats.budget import budget
from harness.stats.quantiles import summarise
from harness.stats.slo import judge, latencies
from harness.stats.summary import summarise_run
from harness.store import to_json
from harness.studies.compare.validity import checks_of
from harness.summary import FIGURES, Check, SloResult, Summary
from tests.facts import facts
from tests.pipelines import plan

MS = 1_000_000


def deterministic(count: int = 200, gap_ms: int = 10, service_ms: int = 4) -> tuple[Plan, RunRecords]:
    """Two stages in a row: requests every `gap_ms`, each served for `service_ms` and then 1 ms, nothing waits."""
    planned = plan(
        {"delay": {}}, {"delay": {}}, load={"arrivals": "constant", "rate": f"{1000 / gap_ms}/s", "requests": count}
    )
    columns = planned.layout.columns
    rows = np.zeros((count, planned.layout.width), np.int64)
    due = np.arange(1, count + 1) * gap_ms * MS
    rows[:, columns["due"]] = due
    rows[:, columns["outcome"]] = Outcome.COMPLETED
    stamps = {
        "s0": (due, due, due, due, due + service_ms * MS),
        "s1": (due, due, *(due + service_ms * MS,) * 2, due + (service_ms + 1) * MS),
    }
    for name, times in stamps.items():
        for field, values in zip(("offered", "accepted", "taken", "started", "done"), times, strict=True):
            rows[:, columns[f"{name}.{field}"]] = values
        rows[:, columns[f"{name}.batch"]] = np.arange(count)
    return planned, RunRecords(planned.layout, rows, {})


def summarised(planned: Plan, records: RunRecords, **given: Any) -> Summary:
    return summarise_run(planned, records, facts(planned, **given))


def check(summary: Summary, name: str) -> Check:
    return next(c for c in summary.checks if c.name == name)


def test_a_deterministic_run_has_the_figures_it_must_have() -> None:
    summary = summarised(*deterministic())
    assert summary.e2e.p50 == summary.e2e.p999 == summary.e2e.mean == 5
    assert summary.offered_rps == pytest.approx(100)
    assert summary.stages["s0"].utilisation == pytest.approx(0.4, rel=0.01)
    assert summary.stages["s1"].utilisation == pytest.approx(0.1, rel=0.02)
    assert summary.stages["s0"].service.p99 == 4
    assert summary.stages["s1"].queue_wait.max == 0
    assert summary.bottleneck == "s0"
    assert summary.tail.shares["s0.service"] == pytest.approx(0.8)
    assert sum(summary.tail.shares.values()) == pytest.approx(1)
    assert check(summary, "stamps").level == "ok"


def test_the_contract_is_kept() -> None:
    summary = json.loads(to_json(summarised(*deterministic())))
    for key in ("e2e_ms", "response_ms", "producer_lateness_ms"):
        assert set(FIGURES) <= set(summary[key])
    assert set(summary["requests"]) >= {"issued", "completed", "failed", "dropped", "warmup"}
    for stage in summary["stages"].values():
        keys = ("service_ms", "queue_wait_ms", "blocked_ms", "batch_wait_ms", "batch_size", "parts", "utilisation")
        assert set(keys) <= set(stage)
    assert {"threshold_ms", "shares", "clusters", "share_ranges"} <= set(summary["tail"])
    assert all(set(c) == {"name", "level", "message"} for c in summary["checks"])


def test_a_lost_request_makes_the_run_invalid() -> None:
    planned, records = deterministic()
    records.rows[7, planned.layout.columns["outcome"]] = Outcome.PENDING
    assert check(summarised(planned, records), "conservation").level == "invalid"


def test_stamps_out_of_order_make_the_run_invalid() -> None:
    planned, records = deterministic()
    records.rows[7, planned.layout.columns["s1.taken"]] -= 3 * MS
    assert check(summarised(planned, records), "stamps").level == "invalid"


def test_a_producer_that_is_late_by_itself_is_told_from_one_that_was_blocked() -> None:
    planned, records = deterministic()
    columns = planned.layout.columns
    late = records.rows.copy()
    moved = [columns[f"{s}.{f}"] for s in ("s0", "s1") for f in ("offered", "accepted", "taken", "started", "done")]
    late[:, moved] += 3 * MS
    summary = summarised(planned, RunRecords(planned.layout, late, {}))
    assert check(summary, "schedule").level == "invalid"
    assert summary.producer_lateness.p50 == 3
    blocked = records.rows.copy()
    blocked[0, columns["s0.accepted"]] += 500 * MS  # the first request is held; the fifty behind it are due meanwhile
    offered = np.maximum(blocked[:, columns["due"]], blocked[0, columns["s0.accepted"]])
    blocked[1:, columns["s0.offered"]] = offered[1:]
    blocked[1:, columns["s0.accepted"]] = offered[1:]
    split = budget(RunRecords(planned.layout, blocked, {}))
    assert split.components["producer"].max() == 0
    assert split.components["s0.blocked"][1] == 490 * MS
    stalled = blocked.copy()  # the same, but it is the producer that was not there: nothing was blocked
    stalled[0, [columns["s0.offered"], columns["s0.accepted"]]] = blocked[0, columns["s0.accepted"]]
    split = budget(RunRecords(planned.layout, stalled, {}))
    assert split.components["s0.blocked"].max() == 0
    assert split.components["producer"][1] == 490 * MS


def test_requests_that_fail_and_block_the_producer_do_not_make_it_late() -> None:
    """Every other one fails and is let in 15 ms late: the one behind it waits 5 ms for that, and is served in 5 ms."""
    planned, records = deterministic()
    columns, rows = planned.layout.columns, records.rows
    rows[1::2, columns["outcome"]] = Outcome.FAILED
    rows[1::2, columns["s0.accepted"]] += 15 * MS
    moved = [columns[f"{s}.{f}"] for s in ("s0", "s1") for f in ("offered", "accepted", "taken", "started", "done")]
    rows[np.ix_(range(2, 200, 2), moved)] += 5 * MS
    summary = summarised(planned, records)
    assert summary.stages["s0"].blocked.p50 == 5
    assert summary.producer_lateness.p50 == 5
    assert summary.producer_own_lateness.max == 0
    assert summary.tail.shares["s0.blocked"] == pytest.approx(0.5)
    assert check(summary, "schedule").level == "ok"
    execution = Execution(planned, records, "completed", (), "")
    assert next(c for c in checks_of(execution) if c.name == "schedule").level == "ok"


def test_a_backlog_that_grows_has_no_quantiles() -> None:
    planned, records = deterministic(400)
    grown = np.arange(400)[:, None] * 5 * MS
    columns = planned.layout.columns
    moved = [columns[f"s0.{f}"] for f in ("taken", "started", "done")]
    moved += [columns[f"s1.{f}"] for f in ("offered", "accepted", "taken", "started", "done")]
    records.rows[:, moved] += grown
    summary = summarised(planned, records)
    assert summary.steady_state.verdict == "saturated"
    assert summary.validity == "invalid"
    assert all(summary.e2e[key] is None for key in ("p50", "p90", "p99", "p999", "mean"))
    assert summary.e2e.p99_interval == (None, None)
    # 66.7/s are served of 100/s: a third of what is offered stays.
    assert summary.steady_state.growth_rps == pytest.approx(100 / 3, rel=0.05)
    assert "no quantile is shown" in " ".join(summary.findings)


def test_a_failed_run_is_not_valid_and_aborted_requests_are_counted() -> None:
    planned, records = deterministic()
    records.rows[150:, planned.layout.columns["outcome"]] = Outcome.ABORTED
    summary = summarised(planned, records, status="failed")
    assert summary.requests.failed == summary.requests.aborted == 50
    assert check(summary, "conservation").level == "ok"
    assert summary.validity == "invalid"


def test_warm_up_is_kept_apart() -> None:
    planned, records = deterministic()
    columns = planned.layout.columns
    records.rows[:50, columns["phase"]] = Phase.WARMUP
    records.rows[:50, columns["s1.done"]] += 1000 * MS
    summary = summarised(planned, records)
    assert summary.requests.issued == 150
    assert summary.requests.warmup == 50
    assert summary.e2e.max == 5


def test_threads_that_differ_from_what_was_asked_for_are_told() -> None:
    effective = {"s0-0": {"threads": 4}, "s1-0": {"threads": 1}}
    found = check(summarised(*deterministic(), effective=effective), "threads")
    assert found.level == "warning"
    assert "s0-0 has 4 and was to have 1" in found.message


@given(st.lists(st.tuples(*[st.integers(0, 50 * MS)] * 11), min_size=1, max_size=30))
def test_the_components_of_any_request_add_up_to_its_latency(gaps: list[tuple[int, ...]]) -> None:
    """Whatever the gaps between the stamps of stages that block before service."""
    planned, _ = deterministic(1)
    columns = planned.layout.columns
    rows = np.zeros((len(gaps), planned.layout.width), np.int64)
    path = ["due", "s0.offered", "s0.accepted", "s0.taken", "s1.offered", "s1.accepted", "s0.started", "s0.done"]
    path += ["s1.taken", "s1.started", "s1.done"]
    for row, between in zip(rows, gaps, strict=True):
        row[[columns[name] for name in path]] = np.cumsum((1, *between[1:]))
    rows[:, columns["outcome"]] = Outcome.COMPLETED
    split = budget(RunRecords(planned.layout, rows, {}))
    assert (sum(split.components.values()) == rows[:, columns["s1.done"]] - rows[:, columns["due"]]).all()
    assert min(part.min() for part in split.components.values()) >= 0


def lossy(outcome: int, lost: int, reasons: dict[int, str]) -> Summary:
    """The summary of the deterministic run with its first requests lost."""
    planned, records = deterministic()
    records.rows[:lost, planned.layout.columns["outcome"]] = outcome
    return summarised(planned, RunRecords(planned.layout, records.rows, reasons))


def test_the_reading_begins_with_the_share_of_requests_that_were_dropped() -> None:
    first, second, *_ = lossy(Outcome.DROPPED, 50, {}).findings
    assert first.startswith("25 % of the requests (50 of 200) were dropped")
    assert "on_full: shed" in second and "capacity" in second and "workers" in second and "lower load" in second


def test_the_reading_begins_with_the_share_of_requests_that_failed_and_names_the_usual_reason() -> None:
    reasons = {0: "truncated", **dict.fromkeys(range(1, 20), "not an image\nat all")}
    first = lossy(Outcome.FAILED, 20, reasons).findings[0]
    assert first == "10 % of the requests (20 of 200) failed, most often (19) with: not an image."


def test_where_all_failed_the_reading_names_the_usual_reason() -> None:
    said = lossy(Outcome.FAILED, 200, dict.fromkeys(range(200), "not an image")).findings
    assert said == ("No request completed: 200 of 200 failed, most often (200) with: not an image.",)


# Limits: the deterministic run takes 5 ms, far below all of them


def judged(outcomes: dict[int, int], **limits: str) -> dict[str, SloResult]:
    """The verdicts of that run, in which so many requests ended in another way, by their limit."""
    planned, records = deterministic()
    planned = plan(
        {"delay": {}}, {"delay": {}}, load={"arrivals": "constant", "rate": "100/s", "requests": 200}, slo=limits
    )
    lost = np.repeat(list(outcomes), list(outcomes.values()))
    records.rows[: len(lost), planned.layout.columns["outcome"]] = lost
    summary = summarised(planned, records)
    json.loads(to_json(summary), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    return {row.limit: row for row in summary.slo}


def test_a_limit_is_not_met_where_most_requests_were_dropped() -> None:
    row = judged({Outcome.DROPPED: 160}, p99="1 s")["p99"]
    assert (row.met, row.measured_ms, row.infinite) == (False, None, True)
    assert row.why == "80 % of the requests were lost (dropped) and count as infinitely late"


@pytest.mark.parametrize("outcome", [Outcome.DROPPED, Outcome.FAILED, Outcome.ABORTED])
def test_whatever_way_a_request_was_lost_it_is_infinitely_late(outcome: int) -> None:
    """Of 200 requests two may be lost without p99, of rank 198, being one of them."""
    assert judged({outcome: 2}, p99="5 ms")["p99"].met
    assert not judged({outcome: 3}, p99="1 h")["p99"].met
    one = judged({outcome: 1}, p999="1 h", max="1 h", p50="5 ms")
    assert {name: (row.met, row.infinite) for name, row in one.items()} == {
        "p50": (True, False), "p999": (False, True), "max": (False, True),
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(list(ENDED))), min_size=1, max_size=200),
       st.integers(1, 10**6))  # fmt: skip
def test_a_quantile_is_met_if_and_only_if_enough_of_all_requests_were_in_time(ends, limit_ns) -> None:
    """p90 of n requests is met when at least nine tenths of them, rounded up, completed within the limit."""
    planned, _ = deterministic(1)
    rows = np.zeros((len(ends), planned.layout.width), np.int64)
    rows[:, [planned.layout.columns["s1.done"], planned.layout.columns["outcome"]]] = ends
    figures = summarise(latencies(RunRecords(planned.layout, rows, {})))
    outcomes = Counter(outcome for _, outcome in ends)
    (row,) = judge({"p90": limit_ns}, figures, outcomes, len(ends), steady=True)
    in_time = sum(outcome == Outcome.COMPLETED and latency <= limit_ns for latency, outcome in ends)
    assert row.met == (10 * in_time >= 9 * len(ends))
    assert (row.why is None) == all(outcome == Outcome.COMPLETED for _, outcome in ends)


def test_several_kinds_of_loss_are_told_apart() -> None:
    row = judged({Outcome.DROPPED: 20, Outcome.FAILED: 10, Outcome.ABORTED: 4}, p50="5 ms")["p50"]
    assert row.met
    how = "10 % dropped, 5 % failed, 2 % had not ended when the run did"
    assert row.why == f"17 % of the requests were lost ({how}) and count as infinitely late"


def test_without_a_request_no_limit_is_met() -> None:
    (row,) = judge({"p99": 10**9}, summarise(np.empty(0)), {}, 0, steady=True)
    assert (row.met, row.measured_ms, row.infinite, row.why) == (
        False, None, False, "no request was issued",
    )  # fmt: skip
