"""What came of a search, as a mapping for JSON: the answer in figures and in words, each configuration, each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.stats.checks import three
from harness.stats.findings import reason
from harness.stats.slo import percent
from harness.studies.capacity.curve import Crossing, Curve, crossing, curve
from harness.studies.capacity.evidence import Estimate, Evidence, lost_share
from harness.studies.capacity.search import MOST_RUNS, Candidate, State
from harness.studies.capacity.slo import Limit
from harness.twin.pooling import pooled

SCHEMA_VERSION = 1
MORE_LOAD = 1.1
POINTS = np.concatenate([np.linspace(0.3, 0.9, 7), np.linspace(0.94, 1.2, 10)])
"""Of the answer's rate: where the curve is drawn."""


def conclude(state: State, outlook: bool = True) -> dict[str, Any]:
    """The answer. outlook: with the curve about it, and what 10 % more load would do, which takes seconds."""
    best = best_measured(state)
    figures = None if best is None else _figures(state, best, outlook)
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "capacity",
        "scenario": state.candidates[0].configuration.plan.scenario.name,
        "slo": [{"limit": x.name, "limit_ms": x.limit_ns / 1e6} for x in state.goal.limits],
        "within": state.goal.within,
        "status": state.status,
        "attainable": None if best is None and state.status != "answered" else best is not None,
        "answer": figures,
        "configurations": [_row(state, index, best) for index in range(len(state.candidates))],
        "measured_s": state.measured_s,
        "elapsed_s": state.elapsed_s,
    }
    return {**document, "sentences": _sentences(state, best, figures)}


def best_measured(state: State) -> int | None:
    """Index of the configuration that carries most, of those that were measured; None where no load keeps the SLO."""
    measured = [i for i in state.alive if state.candidates[i].runs and state.candidates[i].estimate.rate_rps > 0]
    return max(measured, key=lambda i: state.candidates[i].estimate.rate_rps, default=None)


def _figures(state: State, best: int, outlook: bool) -> dict[str, Any]:
    candidate = state.candidates[best]
    found, nearest = candidate.estimate, _nearest(candidate)
    met = [e.rate_rps for e in candidate.evidence if e.verdict == "met"]
    missed = [e.rate_rps for e in candidate.evidence if e.verdict == "not met"]
    scaled = _scaled(state, candidate) if outlook else None
    return {
        "settings": list(candidate.configuration.settings),
        "rate_rps": found.rate_rps,
        "interval_rps": [found.lo_rps, found.hi_rps],
        "half_width": found.half,
        "met_at_rps": max(met, default=None),
        "not_met_at_rps": min(missed, default=None),
        "throughput_rps": float(np.median([e.throughput_rps for e in candidate.runs])),
        "limited_by": nearest.limited_by,
        **_bottleneck(nearest),
        "next": None if scaled is None else _next(scaled, found),
        "curve": None if scaled is None else _points(scaled, found),
    }


def _nearest(candidate: Candidate) -> Evidence:
    """The run whose rate is the nearest to the answer."""
    rate_rps = candidate.estimate.rate_rps
    return min(candidate.runs, key=lambda e: abs(math.log(e.rate_rps / rate_rps)))


def _bottleneck(evidence: Evidence) -> dict[str, Any]:
    """The busiest stage of a run, and what the latency of its slowest 1 % is made of."""
    summary = evidence.summary
    shares: Mapping[str, float] = summary["tail"]["shares"]
    stage = summary["bottleneck"]
    return {
        "bottleneck": {
            "stage": stage,
            "at_rps": evidence.rate_rps,
            "utilisation": summary["stages"][stage]["utilisation"],
            "tail_service": sum(share for name, share in shares.items() if name.endswith(".service")),
            "largest": max(shares, key=lambda name: shares[name], default=None),
            "largest_share": max(shares.values(), default=None),
        }
    }


def _scaled(state: State, candidate: Candidate) -> tuple[Curve, Crossing]:
    """The twin's curve with the service times of all the candidate's runs, times their mean residual."""
    runs = candidate.runs
    factor = math.exp(float(np.mean([math.log(e.residual) for e in runs])))
    learnt = pooled([e.calibration for e in runs], candidate.estimate.rate_rps)
    goal = state.goal
    found = curve(candidate.configuration.plan, learnt, goal.limits, goal.size, factor, lost_share(runs))
    return found, crossing(found, candidate.estimate.rate_rps)


def _next(scaled: tuple[Curve, Crossing], found: Estimate) -> dict[str, Any]:
    """What 10 % more load would do, by that curve, on the axis on which it crosses at the answer."""
    given, crosses = scaled
    stretch = (crosses.rate_rps or found.rate_rps) / found.rate_rps
    rate_rps = found.rate_rps * MORE_LOAD
    excess = given.excess(rate_rps * stretch)
    growth = rate_rps - given.throughput_rps / stretch
    return {
        "rate_rps": rate_rps,
        "excess": excess if math.isfinite(excess) else None,
        "growth_rps": max(growth, 0.0) if not given.pipeline.shed else 0.0,
    }


def _points(scaled: tuple[Curve, Crossing], found: Estimate) -> dict[str, list[float | None]]:
    given, crosses = scaled
    stretch = (crosses.rate_rps or found.rate_rps) / found.rate_rps
    rates = [float(share) * found.rate_rps for share in POINTS]
    excesses = [given.excess(rate * stretch) for rate in rates]
    return {"rate_rps": list(rates), "excess": [x if math.isfinite(x) else None for x in excesses]}


# ------------------------------------------------------------------ configurations and runs


def _row(state: State, index: int, best: int | None) -> dict[str, Any]:
    candidate = state.candidates[index]
    found, predicted = candidate.estimate, candidate.predicted
    measured = bool(candidate.runs)
    return {
        "name": candidate.configuration.name,
        "settings": list(candidate.configuration.settings),
        "predicted_rps": None if predicted is None else predicted.rate_rps,
        "measured_rps": found.rate_rps if measured else None,
        "interval_rps": [found.lo_rps, found.hi_rps] if measured else None,
        "verdict": _verdict(state, index, best),
        "failed": None if candidate.failed is None else candidate.failed.what,
        "runs": [_run(e) for e in candidate.evidence],
    }


def _verdict(state: State, index: int, best: int | None) -> str:
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
    return "no difference" if best is not None and _alike(state, index, best) else "lower"


def _alike(state: State, index: int, best: int) -> bool:
    """Whether two measured capacities are within each other's noise."""
    one, other = state.candidates[index].estimate, state.candidates[best].estimate
    return math.log(other.rate_rps / one.rate_rps) <= math.hypot(math.log1p(one.half), math.log1p(other.half))


def _run(e: Evidence) -> dict[str, Any]:
    return {
        "path": e.path,
        "purpose": e.purpose,
        "rate_rps": e.rate_rps,
        "requests": e.requests,
        "lost": _lost(e),
        "seconds": e.seconds,
        "measured": e.measured,
        "why": None if math.isfinite(e.measured) else f"{percent(_lost(e) / e.requests)} of the requests were lost",
        "interval": None if e.raw is None else list(e.raw),
        "replayed": e.replayed,
        "correlation": e.correlation,
        "long_run": e.long_run,
        "long_run_interval": list(e.long_run_interval),
        "saturated": e.saturated,
        "verdict": e.verdict,
        "capacity_rps": e.capacity_rps,
        "log_error": e.log_error,
    }


def _lost(e: Evidence) -> int:
    return int(e.summary["requests"]["dropped"] + e.summary["requests"]["failed"])


# ------------------------------------------------------------------ in words


def _sentences(state: State, best: int | None, figures: Mapping[str, Any] | None) -> list[str]:
    if best is None or figures is None:
        return [*_without(state), *_how_it_ended(state, None)]
    candidate, slo = state.candidates[best], _slo(state.goal.limits)
    found = candidate.estimate
    who = f"With {candidate.configuration.name} the" if candidate.configuration.settings else "The"
    said = [
        f"{who} pipeline keeps {slo} up to {_rate(found.rate_rps)} (95 % interval {_rate(found.lo_rps)} to"
        f" {_rate(found.hi_rps)}). Offer no more than the lower end to be safe."
    ]
    alike = [
        f"{c.configuration.name} ({_rate(c.estimate.rate_rps)})"
        for i, c in enumerate(state.candidates)
        if _verdict(state, i, best) == "no difference"
    ]
    if alike:
        said.append(f"Within the noise of it: {', '.join(alike)}.")
    said += [_limit(figures), *_more_load(figures, state.goal.limits), *_doubts(candidate.runs)]
    return [*said, *_how_it_ended(state, best)]


def _without(state: State) -> list[str]:
    """Of a search that found no load that keeps the SLO."""
    slo = _slo(state.goal.limits)
    missed = [e for c in state.candidates for e in c.runs if e.verdict != "met"]
    if state.status != "answered" or not missed:
        return [f"Not measured yet: what load keeps {slo}."]
    least = min(missed, key=lambda e: e.long_run)
    if math.isinf(least.long_run) and least.lost:
        return [
            f"No load keeps {slo}: at {_rate(least.rate_rps)}, {percent(_lost(least) / least.requests)} of the requests"
            f" were lost{reason(least.summary)}. They count as infinitely late."
        ]
    service = sum(stage["service_ms"]["p50"] or 0.0 for stage in least.summary["stages"].values())
    return [
        f"No load keeps {slo}: at {_rate(least.rate_rps)}, where it is missed by least, it takes"
        f" {least.long_run:.3g} times what it may. Service alone is {service:.3g} ms of a typical request: a faster"
        " stage or a shorter batch timeout is needed, not a lower load."
    ]


def _limit(figures: Mapping[str, Any]) -> str:
    found = figures["bottleneck"]
    busy = found["utilisation"]
    stage = f"{found['stage']} limits it" + ("" if busy is None else f", {busy:.0%} busy at {_rate(found['at_rps'])}")
    if figures["limited_by"] == "throughput":
        return f"The SLO holds as far as there is a steady state: the limit is throughput. {stage}."
    if found["largest"] is None:
        return f"{stage}."
    name, _, component = found["largest"].partition(".")
    words = {
        "queue_wait": f"waiting in the queue of {name}",
        "batch_wait": f"waiting in {name} for a batch to fill",
        "blocked": f"waiting for a free slot of {name}",
        "service": f"the service of {name} itself",
    }
    what = words.get(component, "the producer's lateness" if component == "" and name == "producer" else "overhead")
    return (
        f"{stage}: of the slowest 1 % there {found['largest_share']:.0%} is {what}, and"
        f" {found['tail_service']:.0%} service of all stages."
    )


def _more_load(figures: Mapping[str, Any], limits: Sequence[Limit]) -> list[str]:
    coming = figures["next"]
    if coming is None:
        return []
    if coming["excess"] is None:
        backlog = f": the backlog would grow by {three(coming['growth_rps'])} requests every second"
        return [f"10 % more load leaves no steady state{backlog if coming['growth_rps'] else ''}."]
    if len(limits) == 1:
        ms = coming["excess"] * limits[0].limit_ns / 1e6
        return [f"10 % more load would take {limits[0].name} to about {three(ms)} ms ({coming['excess'] - 1:+.0%})."]
    return [f"10 % more load would exceed the SLO by about {coming['excess'] - 1:.0%}."]


def _doubts(runs: Sequence[Evidence]) -> list[str]:
    """Requests that were lost; runs whose own checks say that their latencies are not to be believed, but for those
    that had no steady state."""
    wrong = {
        check["name"]: check["message"]
        for e in runs
        for check in e.summary["checks"]
        if check["level"] == "invalid" and check["name"] != "steady state"
    }
    lost, issued = sum(map(_lost, runs)), sum(e.requests for e in runs)
    told = [f"{percent(lost / issued)} of the requests of these runs were lost and count as infinitely late."]
    return [*(told if lost else []), *(f"Not every run is valid, {name}: {text}." for name, text in wrong.items())]


def _how_it_ended(state: State, best: int | None) -> list[str]:
    rivals = [
        state.candidates[i].configuration.name
        for i in range(len(state.candidates))
        if _verdict(state, i, best) == "not measured"
    ]
    unmeasured = f" Not measured: {', '.join(rivals)}." if rivals and best is not None else ""
    asked = f"the interval was within ±{state.goal.within * 100:.3g} %"
    match state.status:
        case "budget spent":
            return [f"The budget was spent before {asked}.{unmeasured}"]
        case "runs spent":
            return [f"{MOST_RUNS} runs of one configuration were made before {asked}: the machine is too unsteady."]
        case "interrupted" | "searching":
            return [f"The search ended before {asked}.{unmeasured}"]
        case "failed":
            return ["Every configuration failed."]
    return []


def _slo(limits: Sequence[Limit]) -> str:
    return " and ".join(f"{x.name} <= {x.limit_ns / 1e6:,.6g} ms" for x in limits)


def _rate(rate_rps: float) -> str:
    return f"{three(rate_rps)}/s"
