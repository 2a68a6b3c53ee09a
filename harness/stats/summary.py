"""The summary of a run: everything that it says about itself, computed from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.pinning import pinned
from harness.plan import Plan, StagePlan
from harness.records import Outcome, Phase, RunRecords
from harness.scenario.model import Closed
from harness.stats import checks, slo
from harness.stats.attribution import Attribution
from harness.stats.findings import findings
from harness.stats.intervals import Interval, dependent
from harness.stats.passes import TAIL, RunFigures, figures_of
from harness.summary import (
    FIGURES,
    BatchSize,
    Check,
    Distribution,
    Latency,
    ModelLadder,
    RequestCounts,
    RunFacts,
    StageSummary,
    SteadyState,
    Summary,
    Tail,
)


def summarise_run(plan: Plan, records: RunRecords, facts: RunFacts) -> Summary:
    """The summary of a run. Of a run without a steady state every quantile is None. What models make of it is added
    later: `harness.studies.run`.
    """
    found = figures_of(records)
    open_load = not isinstance(plan.load, Closed)
    stages = {stage.name: _stage(stage, found) for stage in plan.stages}
    bottleneck = max(stages, key=lambda name: stages[name].utilisation or 0.0)
    state = _steady(plan, found, bottleneck) if open_load else None
    p99 = dependent(found.latencies, TAIL)
    meaningful = state is None or state.verdict != "saturated"
    counts = _counts(found)
    verdicts = [
        checks.finished(facts.status),
        checks.threads({s.name: s.options.threads for s in plan.stages}, facts.effective),
        *checks.pinning(pinned(plan), facts.effective),
        checks.conserved(counts, facts.scheduled, facts.status),
        checks.served(counts),
    ]
    if facts.recording and facts.recording.waits:
        verdicts.append(checks.recorded(facts.recording))
    if found.completed:
        verdicts.append(checks.in_order(found.stamped, found.disordered))
        verdicts.append(checks.little(facts.in_flight))
        verdicts += _load_checks(plan, found, state, bottleneck, stages[bottleneck].utilisation)
        if meaningful:
            verdicts.append(checks.samples(found.latencies, p99))
    limits_ns = plan.scenario.slo.limits_ns if plan.scenario.slo else {}
    summary = Summary(
        **dict(facts),
        requests=counts,
        throughput_rps=found.throughput_rps,
        offered_rps=found.offered_rps if open_load else None,
        e2e=_latency(found.e2e, p99, meaningful),
        response=_latency(found.response, dependent(found.responses, TAIL), meaningful),
        producer_lateness=Distribution(**found.lateness),
        producer_own_lateness=Distribution(**found.own_lateness),
        stages=stages,
        bottleneck=bottleneck,
        residual=Distribution(**found.residual),
        tail=_tail(found.tail),
        steady_state=state,
        slo=tuple(slo.judge(limits_ns, found.with_lost, found.outcomes, counts.issued, steady=meaningful)),
        model=ModelLadder(),
        checks=tuple(verdicts),
        validity=checks.worst(verdicts),
        failures=dict(found.failures),
        findings=(),
    )
    return summary.model_copy(update={"findings": tuple(findings(summary))})


def _counts(found: RunFigures) -> RequestCounts:
    outcomes = found.outcomes
    return RequestCounts(
        issued=sum(outcomes.values()),
        completed=outcomes[Outcome.COMPLETED],
        failed=outcomes[Outcome.FAILED] + outcomes[Outcome.ABORTED],
        dropped=outcomes[Outcome.DROPPED],
        aborted=outcomes[Outcome.ABORTED],
        warmup=found.issued[Phase.WARMUP],
        calibration=found.issued[Phase.SATURATION],
    )


def _latency(figures: Mapping[str, float | None], interval: Interval, meaningful: bool) -> Latency:
    if not meaningful:
        figures = {key: figures[key] if key in ("min", "max") else None for key in FIGURES}
    low, high = (None if not meaningful or end is None else end / 1e6 for end in (interval.lo, interval.hi))
    method = f"{interval.method}, {interval.confidence:.0%}"
    return Latency(**figures, p99_interval=(low, high), p99_interval_method=method)


def _stage(stage: StagePlan, found: RunFigures) -> StageSummary:
    mine = found.stages[stage.name]
    there = stage.workers * found.window_ns
    return StageSummary(
        workers=stage.workers,
        capacity=stage.capacity,
        # busy time over the arrival window, the service of each batch counted once
        utilisation=float(mine.busy_ns) / there if there else None,
        **{component: Distribution(**figures) for component, figures in mine.components.items()},
        batch_size=BatchSize(
            mean=found.completed / mine.batches if mine.batches else None, max=mine.largest_batch or None
        ),
        parts={part: Distribution(**figures) for part, figures in mine.parts.items()},
    )


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
) -> list[Check]:
    if isinstance(plan.load, Closed):
        return []
    late_ms, median_ms = found.own_lateness["p99"], found.e2e["p50"]
    assert late_ms is not None
    assert median_ms is not None
    schedule = checks.schedule(late_ms, median_ms)
    return [schedule, *([] if state is None else [checks.steady(state, bottleneck, busy or 0.0)])]


def _tail(found: Attribution | None) -> Tail:
    """Where the time of the slowest 1 % went, and of the requests about the median."""
    if found is None:
        return Tail(threshold_ms=None, count=0, shares={}, median_shares={}, clusters=0, share_ranges=None)
    return Tail(
        threshold_ms=found.low_ms,
        count=found.count,
        shares=found.shares,
        median_shares=found.median_shares,
        clusters=found.clusters,
        share_ranges=found.share_ranges,
    )
