"""`summary.json`: everything that a run says about itself, computed from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.plan import Plan, StagePlan
from harness.records import ENDED, Outcome, Phase, RunRecords, batches, first_of_batches
from harness.scenario.model import Closed
from harness.stats import checks, slo, steady
from harness.stats.attribution import Edge, attribute
from harness.stats.budget import PRODUCER, STAGE_COMPONENTS, Budget, held_up, measured_and_completed, split_of
from harness.stats.findings import read
from harness.stats.intervals import Interval, dependent
from harness.stats.little import InFlight
from harness.stats.quantiles import KEYS, summarise

SCHEMA_VERSION = 1
TAIL = 0.99


def summarise_run(plan: Plan, records: RunRecords, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a run. `facts`: what is known of it besides its records (started_at, status, memory, ...).

    Times in ms, rates in requests per second. Of a run without a steady state every quantile is null.
    """
    measured = records.of_phase(Phase.MEASURED)
    counted = measured_and_completed(records)
    done = records.select(counted)
    open_load = not isinstance(plan.load, Closed)
    split = split_of(done, held_up(records)[counted])
    stages = {stage.name: _stage(stage, records, done, split) for stage in plan.stages}
    bottleneck = max(stages, key=lambda name: stages[name]["utilisation"] or 0.0)
    state = _steady(plan, done, bottleneck) if open_load else None
    p99 = dependent(split.e2e, TAIL)
    meaningful = state is None or state.verdict != "saturated"
    outcomes = {o: int((measured.outcome == o).sum()) for o in ENDED}
    counts = {
        "issued": len(measured),
        "completed": outcomes[Outcome.COMPLETED],
        "failed": outcomes[Outcome.FAILED] + outcomes[Outcome.ABORTED],
        "dropped": outcomes[Outcome.DROPPED],
        "aborted": outcomes[Outcome.ABORTED],
        "warmup": int((records.column("phase") == Phase.WARMUP).sum()),
        "calibration": int((records.column("phase") == Phase.CALIBRATION).sum()),
    }
    status = str(facts.get("status", "completed"))
    verdicts = [
        checks.finished(status),
        checks.threads({s.name: s.options.threads for s in plan.stages}, facts.get("effective", {})),
        checks.conserved(counts, facts.get("scheduled"), status),
        checks.served(counts),
    ]
    if len(done):
        verdicts.append(checks.ordered(records))
        in_flight = facts.get("in_flight")
        verdicts.append(checks.little(InFlight(**in_flight) if in_flight else None))
        verdicts += _load_checks(plan, split, state, bottleneck, stages[bottleneck]["utilisation"])
        if meaningful:
            verdicts.append(checks.samples(split.e2e, p99))
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": plan.scenario.name,
        "executor": plan.scenario.executor,
        **facts,
        "requests": counts,
        "throughput_rps": _throughput(done),
        "offered_rps": _offered(measured) if open_load else None,
        "e2e_ms": _latency(split.e2e, p99, meaningful),
        "response_ms": _latency(
            done.completed - done.issued, dependent(done.completed - done.issued, TAIL), meaningful
        ),
        "producer_lateness_ms": summarise(done.issued - done.due),
        "producer_own_lateness_ms": summarise(split.components[PRODUCER]),
        "stages": stages,
        "bottleneck": bottleneck,
        "residual_ms": summarise(split.components["residual"]),
        "tail": _tail(split),
        "steady_state": None if state is None else {**asdict(state), "backlog": asdict(state.backlog)},
        "slo": slo.judge(plan.scenario.slo.limits_ns if plan.scenario.slo else {}, measured, steady=meaningful),
        "model": {},
        "checks": [asdict(c) for c in verdicts],
        "validity": checks.worst(verdicts),
        "failures": _failures(measured),
    }
    summary["reading"] = read(summary)
    return summary


def _latency(values: NDArray[np.int64], interval: Interval, meaningful: bool) -> dict[str, Any]:
    figures: dict[str, Any] = summarise(values)
    if not meaningful:
        figures = {key: figures[key] if key in ("min", "max") else None for key in KEYS}
    ends = [None if not meaningful or end is None else end / 1e6 for end in (interval.lo, interval.hi)]
    figures["p99_ci"] = ends
    figures["p99_ci_method"] = f"{interval.method}, {interval.confidence:.0%}"
    return figures


def _stage(stage: StagePlan, records: RunRecords, done: RunRecords, split: Budget) -> dict[str, Any]:
    mine = done.stage(stage.index)
    sizes = batches(mine.batch).size
    return {
        "workers": stage.workers,
        "capacity": stage.capacity,
        "utilisation": _utilisation(stage, records, done),
        **{f"{c}_ms": summarise(split.components[f"{stage.name}.{c}"]) for c in reversed(STAGE_COMPONENTS)},
        "batch_size": {"mean": float(sizes.mean()), "max": int(sizes.max())}
        if len(sizes)
        else {"mean": None, "max": None},
        "parts": {part: summarise(values) for part, values in mine.parts.items()},
    }


def _utilisation(stage: StagePlan, records: RunRecords, done: RunRecords) -> float | None:
    """Busy time of the stage's workers over the arrival window, the service of each batch counted once."""
    if len(done) < 2:
        return None
    start, end = int(done.due.min()), int(done.due.max())
    every = records.stage(stage.index)
    served = np.flatnonzero(every.done)
    once = served[first_of_batches(every.batch[served])]
    begun, ended = every.started[once], every.done[once]
    busy = np.maximum(0, np.minimum(ended, end) - np.maximum(begun, start)).sum()
    return float(busy) / (stage.workers * (end - start)) if end > start else None


def _throughput(done: RunRecords) -> float | None:
    span = int(done.completed.max() - done.due.min()) if len(done) else 0
    return len(done) / (span / 1e9) if span else None


def _offered(measured: RunRecords) -> float | None:
    span = int(np.ptp(measured.due)) if len(measured) else 0
    return (len(measured) - 1) / (span / 1e9) if span else None


def _steady(plan: Plan, done: RunRecords, bottleneck: str) -> steady.SteadyState | None:
    """The verdict on the backlog; saturated, too, where more work arrived than the busiest stage could do.

    That is judged by what was offered times the mean service, in a stage without batches (whose capacity is known).
    """
    if len(done) < 2 or np.ptp(done.due) == 0:
        return None
    state = steady.steady_state(done.due, done.completed)
    stage = next(s for s in plan.stages if s.name == bottleneck)
    columns = done.stage(stage.index)
    capacity_rps = stage.workers / (float((columns.done - columns.started).mean()) / 1e9)
    if stage.batch_max == 1 and state.growth_rps > 0 and state.offered_rps >= capacity_rps:
        return replace(state, verdict="saturated", capacity_rps=capacity_rps)
    return state


def _load_checks(
    plan: Plan, split: Budget, state: steady.SteadyState | None, bottleneck: str, busy: float | None
) -> list[checks.Check]:
    if isinstance(plan.load, Closed):
        return []
    return [checks.schedule(split), *([] if state is None else [checks.steady(state, bottleneck, busy or 0.0)])]


def _tail(split: Budget) -> dict[str, Any]:
    """Where the time of the slowest 1 % went, and of the requests about the median."""
    found = attribute(split, Edge(level=TAIL))
    if found is None:
        empty: dict[str, Any] = {"shares": {}, "median_shares": {}, "clusters": 0, "share_ranges": None}
        return {"threshold_ms": None, "count": 0, **empty}
    return {
        "threshold_ms": found.low_ms,
        "count": found.count,
        "shares": found.shares,
        "median_shares": found.median_shares,
        "clusters": found.clusters,
        "share_ranges": found.share_ranges,
    }


def _failures(measured: RunRecords) -> dict[str, int]:
    """How often each reason made a request fail."""
    reasons: dict[str, int] = {}
    for reason in measured.failures.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    return reasons
