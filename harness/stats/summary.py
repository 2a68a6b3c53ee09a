"""`summary.json`: everything that a run says about itself, computed from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from harness.pinning import pinned
from harness.plan import Plan, StagePlan
from harness.records import Outcome, Phase, RunRecords
from harness.scenario.model import Closed
from harness.stats import checks, slo
from harness.stats.attribution import Attribution
from harness.stats.budget import STAGE_COMPONENTS
from harness.stats.findings import read
from harness.stats.intervals import Interval, dependent
from harness.stats.little import InFlight
from harness.stats.passes import TAIL, RunFigures, figures_of
from harness.stats.quantiles import KEYS
from harness.stats.steady import SteadyState

SCHEMA_VERSION = 1


def summarise_run(plan: Plan, records: RunRecords, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a run. `facts`: what is known of it besides its records (started_at, status, memory, ...).

    Times in ms, rates in requests per second. Of a run without a steady state every quantile is null.
    """
    found = figures_of(records)
    open_load = not isinstance(plan.load, Closed)
    stages = {stage.name: _stage(stage, found) for stage in plan.stages}
    bottleneck = max(stages, key=lambda name: stages[name]["utilisation"] or 0.0)
    state = _steady(plan, found, bottleneck) if open_load else None
    p99 = dependent(found.latencies, TAIL)
    meaningful = state is None or state.verdict != "saturated"
    outcomes = found.outcomes
    counts = {
        "issued": sum(outcomes.values()),
        "completed": outcomes[Outcome.COMPLETED],
        "failed": outcomes[Outcome.FAILED] + outcomes[Outcome.ABORTED],
        "dropped": outcomes[Outcome.DROPPED],
        "aborted": outcomes[Outcome.ABORTED],
        "warmup": found.issued[Phase.WARMUP],
        "calibration": found.issued[Phase.SATURATION],
    }
    status = str(facts.get("status", "completed"))
    verdicts = [
        checks.finished(status),
        checks.threads({s.name: s.options.threads for s in plan.stages}, facts.get("effective", {})),
        *checks.pinning(pinned(plan), facts.get("effective", {})),
        checks.conserved(counts, facts.get("scheduled"), status),
        checks.served(counts),
    ]
    if found.completed:
        verdicts.append(checks.in_order(found.stamped, found.disordered))
        in_flight = facts.get("in_flight")
        verdicts.append(checks.little(InFlight(**in_flight) if in_flight else None))
        verdicts += _load_checks(plan, found, state, bottleneck, stages[bottleneck]["utilisation"])
        if meaningful:
            verdicts.append(checks.samples(found.latencies, p99))
    limits_ns = plan.scenario.slo.limits_ns if plan.scenario.slo else {}
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": plan.scenario.name,
        "executor": plan.scenario.executor,
        **facts,
        "requests": counts,
        "throughput_rps": found.throughput_rps,
        "offered_rps": found.offered_rps if open_load else None,
        "e2e_ms": _latency(found.e2e, p99, meaningful),
        "response_ms": _latency(found.response, dependent(found.responses, TAIL), meaningful),
        "producer_lateness_ms": found.lateness,
        "producer_own_lateness_ms": found.own_lateness,
        "stages": stages,
        "bottleneck": bottleneck,
        "residual_ms": found.residual,
        "tail": _tail(found.tail),
        "steady_state": None if state is None else {**asdict(state), "backlog": asdict(state.backlog)},
        "slo": slo.judge(limits_ns, found.with_lost, outcomes, counts["issued"], steady=meaningful),
        "model": {},
        "checks": [asdict(c) for c in verdicts],
        "validity": checks.worst(verdicts),
        "failures": dict(found.failures),
    }
    summary["reading"] = read(summary)
    return summary


def _latency(latency: Mapping[str, float | None], interval: Interval, meaningful: bool) -> dict[str, Any]:
    figures: dict[str, Any] = dict(latency)
    if not meaningful:
        figures = {key: figures[key] if key in ("min", "max") else None for key in KEYS}
    ends = [None if not meaningful or end is None else end / 1e6 for end in (interval.lo, interval.hi)]
    figures["p99_ci"] = ends
    figures["p99_ci_method"] = f"{interval.method}, {interval.confidence:.0%}"
    return figures


def _stage(stage: StagePlan, found: RunFigures) -> dict[str, Any]:
    mine = found.stages[stage.name]
    there = stage.workers * found.window_ns
    return {
        "workers": stage.workers,
        "capacity": stage.capacity,
        # busy time over the arrival window, the service of each batch counted once
        "utilisation": float(mine.busy_ns) / there if there else None,
        **{f"{component}_ms": mine.components[component] for component in reversed(STAGE_COMPONENTS)},
        "batch_size": {
            "mean": found.completed / mine.batches if mine.batches else None,
            "max": mine.largest_batch or None,
        },
        "parts": dict(mine.parts),
    }


def _steady(plan: Plan, found: RunFigures, bottleneck: str) -> SteadyState | None:
    """The verdict on the backlog; saturated, too, where more work arrived than the busiest stage could do.

    That is judged by what was offered times the mean service, in a stage without batches (whose capacity is known).
    """
    if found.state is None:
        return None
    stage = next(s for s in plan.stages if s.name == bottleneck)
    service_ns = found.stages[bottleneck].mean_service_ns
    assert service_ns is not None
    capacity_rps = stage.workers / (service_ns / 1e9)
    if stage.batch_max == 1 and found.state.growth_rps > 0 and found.state.offered_rps >= capacity_rps:
        return replace(found.state, verdict="saturated", capacity_rps=capacity_rps)
    return found.state


def _load_checks(
    plan: Plan, found: RunFigures, state: SteadyState | None, bottleneck: str, busy: float | None
) -> list[checks.Check]:
    if isinstance(plan.load, Closed):
        return []
    late_ms, median_ms = found.own_lateness["p99"], found.e2e["p50"]
    assert late_ms is not None
    assert median_ms is not None
    schedule = checks.schedule(late_ms, median_ms)
    return [schedule, *([] if state is None else [checks.steady(state, bottleneck, busy or 0.0)])]


def _tail(found: Attribution | None) -> dict[str, Any]:
    """Where the time of the slowest 1 % went, and of the requests about the median."""
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
