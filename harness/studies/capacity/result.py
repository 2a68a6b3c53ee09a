"""What a search has found so far, as a document."""

from __future__ import annotations

import math

import numpy as np

from harness.stats.slo import lost_percent
from harness.studies.capacity.curve import Crossing, Curve, crossing, curve
from harness.studies.capacity.document import (
    Bottleneck,
    CapacityResult,
    HighestRate,
    MeasuredRun,
    MoreLoad,
    ScaledCurve,
    SloLimit,
    VariantCapacity,
    VariantVerdict,
)
from harness.studies.capacity.evidence import Estimate, Evidence, lost_share
from harness.studies.capacity.findings import findings
from harness.studies.capacity.state import Candidate, State
from harness.twin.pooling import pooled

MORE_LOAD = 1.1
POINTS = np.concatenate([np.linspace(0.3, 0.9, 7), np.linspace(0.94, 1.2, 10)])
"""Shares of the highest rate at which the curve is drawn."""


def conclude(state: State, outlook: bool = True) -> CapacityResult:
    """The result so far. outlook: with the curve, and what 10 % more load would do, which takes seconds."""
    best = best_measured(state)
    highest = None if best is None else _highest(state, state.candidates[best], outlook)
    found = CapacityResult(
        scenario=state.candidates[0].variant.plan.scenario.name,
        slo=tuple(SloLimit(limit=x.name, limit_ms=x.limit_ns / 1e6) for x in state.goal.limits),
        within=state.goal.within,
        status=state.status,
        attainable=None if best is None and state.status != "answered" else best is not None,
        highest=highest,
        variants=tuple(_variant(state, index, best) for index in range(len(state.candidates))),
        measured_s=state.measured_s,
        elapsed_s=state.elapsed_s,
        findings=(),
    )
    return found.model_copy(update={"findings": findings(found, state.candidates)})


def best_measured(state: State) -> int | None:
    """Index of the measured candidate with the highest rate; None where no load keeps the SLO."""
    measured = [i for i in state.alive if state.candidates[i].runs and state.candidates[i].estimate.rate_rps > 0]
    return max(measured, key=lambda i: state.candidates[i].estimate.rate_rps, default=None)


def _highest(state: State, candidate: Candidate, outlook: bool) -> HighestRate:
    found, nearest = candidate.estimate, _nearest(candidate)
    met = [e.rate_rps for e in candidate.evidence if e.verdict == "met"]
    missed = [e.rate_rps for e in candidate.evidence if e.verdict == "not met"]
    scaled = _Scaled(state, candidate) if outlook else None
    return HighestRate(
        overrides=candidate.variant.own,
        rate_rps=found.rate_rps,
        interval_rps=(found.lo_rps, found.hi_rps),
        half_width=found.half,
        met_at_rps=max(met, default=None),
        not_met_at_rps=min(missed, default=None),
        saturated_rps=float(np.median([e.saturated_rps for e in candidate.runs])),
        limited_by=nearest.limited_by,
        bottleneck=_bottleneck(nearest),
        next=None if scaled is None else scaled.more_load(),
        curve=None if scaled is None else scaled.points(),
    )


def _nearest(candidate: Candidate) -> Evidence:
    """The run whose rate is nearest to the highest one."""
    rate_rps = candidate.estimate.rate_rps
    return min(candidate.runs, key=lambda e: abs(math.log(e.rate_rps / rate_rps)))


def _bottleneck(evidence: Evidence) -> Bottleneck:
    summary = evidence.summary
    shares, stage = summary.tail.shares, summary.bottleneck
    return Bottleneck(
        stage=stage,
        at_rps=evidence.rate_rps,
        utilisation=summary.stages[stage].utilisation,
        tail_service=sum(share for name, share in shares.items() if name.endswith(".service")),
        largest=max(shares, key=lambda name: shares[name], default=None),
        largest_share=max(shares.values(), default=None),
    )


class _Scaled:
    """The twin's curve with the service times of all the candidate's runs, times their mean residual.

    Its rates are stretched, so that it crosses 1 at the candidate's highest rate.
    """

    def __init__(self, state: State, candidate: Candidate) -> None:
        runs, goal = candidate.runs, state.goal
        factor = math.exp(float(np.mean([math.log(e.residual) for e in runs])))
        learnt = pooled([e.profile for e in runs], candidate.estimate.rate_rps)
        self._found: Estimate = candidate.estimate
        self._curve: Curve = curve(candidate.variant.plan, learnt, goal.limits, goal.size, factor, lost_share(runs))
        crosses: Crossing = crossing(self._curve, self._found.rate_rps)
        self._stretch = (crosses.rate_rps or self._found.rate_rps) / self._found.rate_rps

    def more_load(self) -> MoreLoad:
        """What 10 % more load would do."""
        rate_rps = self._found.rate_rps * MORE_LOAD
        growth = rate_rps - self._curve.saturated_rps / self._stretch
        shed = self._curve.pipeline.shed
        return MoreLoad(rate_rps=rate_rps, excess=self._excess(rate_rps), growth_rps=0.0 if shed else max(growth, 0.0))

    def points(self) -> ScaledCurve:
        """The curve about the highest rate."""
        rates = [float(share) * self._found.rate_rps for share in POINTS]
        return ScaledCurve(rate_rps=tuple(rates), excess=tuple(map(self._excess, rates)))

    def _excess(self, rate_rps: float) -> float:
        return self._curve.excess(rate_rps * self._stretch)


# ------------------------------------------------------------------ variants and runs


def _variant(state: State, index: int, best: int | None) -> VariantCapacity:
    candidate = state.candidates[index]
    found, predicted = candidate.estimate, candidate.predicted
    measured = bool(candidate.runs)
    return VariantCapacity(
        name=candidate.variant.label,
        overrides=candidate.variant.own,
        predicted_rps=None if predicted is None else predicted.rate_rps,
        measured_rps=found.rate_rps if measured else None,
        interval_rps=(found.lo_rps, found.hi_rps) if measured else None,
        verdict=_verdict(state, index, best),
        failed=None if candidate.failed is None else candidate.failed.what,
        runs=tuple(map(_run, candidate.evidence)),
    )


def _verdict(state: State, index: int, best: int | None) -> VariantVerdict:
    candidate = state.candidates[index]
    if candidate.failed is not None:
        return "failed"
    if index == best:
        return "best"
    if not candidate.runs:
        least = 0.0 if best is None else state.candidates[best].estimate.rate_rps
        return "predicted lower" if candidate.estimate.hi_rps < least else "not measured"
    if not candidate.estimate.rate_rps:
        return "at no load"
    return "no difference" if best is not None and _within_noise(state, index, best) else "lower"


def _within_noise(state: State, index: int, best: int) -> bool:
    """Whether the intervals of two measured rates do not tell them apart."""
    one, other = state.candidates[index].estimate, state.candidates[best].estimate
    return math.log(other.rate_rps / one.rate_rps) <= math.hypot(math.log1p(one.half), math.log1p(other.half))


def _run(e: Evidence) -> MeasuredRun:
    finite = math.isfinite(e.measured)
    return MeasuredRun(
        path=e.path,
        purpose=e.purpose,
        rate_rps=e.rate_rps,
        requests=e.requests,
        lost=e.lost_requests,
        seconds=e.seconds,
        measured=e.measured,
        why=None if finite else f"{lost_percent(e.lost_requests / e.requests)} of the requests were lost",
        interval=e.raw,
        replayed=e.replayed,
        correlation=e.correlation,
        long_run=e.long_run,
        long_run_interval=e.long_run_interval,
        saturated=e.saturated,
        verdict=e.verdict,
        highest_rps=e.highest_rps,
        log_error=e.log_error,
    )
