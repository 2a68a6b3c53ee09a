"""The same variants in the twin, which learns from two of them: all others are predictions to hold against runs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.scenario import Scenario, with_overrides
from harness.scenario.model import Closed
from harness.store import SavedRun
from harness.studies.predict.document import Forecast, WhatIfResult
from harness.studies.predict.forecast import Effort
from harness.studies.predict.whatif import FREE_TO_CHANGE, Source, ask
from harness.studies.sweep.document import TwinResult, TwinScore, VariantResult
from harness.studies.sweep.folder import Entry, SweepFolder
from harness.studies.sweep.spec import Spec
from harness.twin.pooling import pooled
from harness.twin.service_profile import ServiceProfile
from harness.units import format_rate

EFFORT = Effort(requests=10_000, bootstraps=0)


@dataclass(frozen=True)
class _Variant:
    """A variant with its completed runs and what they measured."""

    scenario: Scenario
    plan: Plan
    runs: tuple[SavedRun, ...]
    measured: VariantResult

    @property
    def number(self) -> int:
        """Number of the variant, from 1."""
        return self.measured.number

    @property
    def rate_rps(self) -> float:
        """The offered rate; the throughput of a closed load."""
        return self.measured.offered_rps or self.measured.throughput_rps or 0.0

    @property
    def batch(self) -> int:
        """The largest batch of any stage."""
        return max(stage.batch_max for stage in self.plan.stages)


def predict(folder: SweepFolder, spec: Spec, entries: Sequence[Entry], variants: Sequence[VariantResult]) -> TwinResult:
    """The twin's forecast for every variant, and how far it is off where it did not learn.

    Variants whose stages do the same work (they differ in load, workers, capacity and batch only) form a group, and the
    twin of each group learns from two of them, see `teachers`.
    """
    groups: dict[str, list[_Variant]] = {}
    for measured in variants:
        scenario = folder.scenario(measured.number)
        plan = resolve(scenario)
        mine = [e for e in entries if e.trial.variant == measured.number and e.status == "completed"]
        runs = tuple(run for run in map(folder.run, mine) if run is not None)
        groups.setdefault(_work(plan), []).append(_Variant(scenario, plan, runs, measured))
    forecasts: dict[int, Forecast] = {}
    learnt_from: list[int] = []
    warnings: dict[str, None] = {}
    for group in groups.values():
        learnt = teachers([variant for variant in group if variant.runs])
        learnt_from += [variant.number for variant in learnt]
        try:
            sources = [Source.of(run) for variant in learnt for run in variant.runs]
            for variant in group:
                found = _predicted(variant, sources)
                forecasts[variant.number] = found.baseline
                warnings.update(dict.fromkeys(found.warnings))
        except (UsageError, ValueError) as error:
            numbers = ", ".join(str(variant.number) for variant in group)
            warnings[f"no prediction for variants {numbers}: {getattr(error, 'what', error)}"] = None
    return TwinResult(
        forecasts=forecasts,
        learnt_from=tuple(sorted(learnt_from)),
        score=score(variants, forecasts, learnt_from),
        warnings=tuple(warnings),
    )


def teachers(variants: Sequence[_Variant]) -> list[_Variant]:
    """The lowest load with the smallest batches, and the largest batches at the highest load that is no overload.

    The batch sizes and rates of all others lie between them. Under overload every batch is full, so that nothing would
    be known of how long half a batch takes.
    """
    useful = [variant for variant in variants if variant.measured.verdict != "saturated"] or list(variants)
    if not useful:
        return []
    low = min(useful, key=lambda variant: (variant.rate_rps, variant.batch))
    high = max(useful, key=lambda variant: (variant.batch, variant.rate_rps))
    return [low] if low is high else [low, high]


def _work(plan: Plan) -> str:
    """Equal for plans whose stages do the same work, so that service times of one hold for the other."""
    stages = [(s.name, s.options.model_dump_json(exclude=FREE_TO_CHANGE)) for s in plan.stages]
    return f"{plan.scenario.executor} {plan.scenario.source.model_dump_json()} {stages}"


def _predicted(variant: _Variant, sources: Sequence[Source]) -> WhatIfResult:
    """At the rate that was offered to the variant; where it never ran, at the rate of its scenario."""
    if not sources:
        raise UsageError("none of them has completed")
    nominal = [run.summary.load.nominal_rps or 0.0 for run in variant.runs]
    scenario = variant.scenario
    if nominal and all(nominal) and not isinstance(variant.plan.load, Closed):
        scenario = with_overrides(scenario, [f"load.rate={format_rate(sum(nominal) / len(nominal))}"])
    rate = getattr(scenario.load, "rate", None)
    profile = pooled(served_alike([source.profile for source in sources]), rate)
    return ask(scenario, (), Source(sources[0].run, sources[0].plan, profile), EFFORT)


def served_alike(profiles: Sequence[ServiceProfile]) -> list[ServiceProfile]:
    """Service profiles of the same stages, in which a stage that batches in one of them counts as batching in all.

    A stage that served singly keeps its samples, as batches of 1. What is lost is that a large image is slow at several
    stages at once.
    """
    common = tuple(name for name in profiles[0].single if all(name in c.single for c in profiles))
    return [
        replace(c, single=common, together=c.together[:, [c.single.index(name) for name in common]]) for c in profiles
    ]


def score(
    variants: Sequence[VariantResult], forecasts: Mapping[int, Forecast], learnt_from: Sequence[int]
) -> TwinScore:
    """How far the predicted p99 is off in the variants that the twin did not learn from."""
    others = [v for v in variants if v.number in forecasts and v.number not in learnt_from]
    pairs = [(v.e2e_ms, v.e2e_ms.p99, forecasts[v.number].e2e_ms["p99"]) for v in others]
    scored = [(e2e, p99, predicted) for e2e, p99, predicted in pairs if p99 is not None and predicted is not None]
    intervals = [
        (e2e.p99_interval, predicted)
        for e2e, _, predicted in scored
        if e2e.p99_interval is not None and e2e.p99_interval_from == "requests"
    ]
    return TwinScore(
        variants=len(scored),
        median_apart=statistics.median(abs(p / p99 - 1) for _, p99, p in scored) if scored else None,
        intervals=len(intervals),
        within=sum(lo <= predicted <= hi for (lo, hi), predicted in intervals),
    )
