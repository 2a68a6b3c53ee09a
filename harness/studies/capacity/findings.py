"""The result of a search in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.numbers import percent, rate, significant
from harness.stats.findings import reason
from harness.stats.slo import lost_percent
from harness.studies.capacity.document import Bottleneck, CapacityResult, HighestRate, SloLimit, VariantCapacity
from harness.studies.capacity.evidence import Evidence
from harness.studies.capacity.search import MOST_RUNS
from harness.studies.capacity.state import Candidate

_COMPONENTS = {
    "queue_wait": "waiting in the queue of {}",
    "batch_wait": "waiting in {} for a batch to fill",
    "blocked": "waiting for a free slot of {}",
    "service": "the service of {} itself",
}


def findings(result: CapacityResult, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Sentences for the result, whose own are ignored. candidates: its variants, in their order."""
    return tuple(_findings(result, candidates))


def _findings(result: CapacityResult, candidates: Sequence[Candidate]) -> Iterator[str]:
    highest = result.highest
    if highest is None:
        yield _no_rate(result, candidates)
    else:
        number = next(i for i, variant in enumerate(result.variants) if variant.verdict == "best")
        yield _rate_found(result, highest, result.variants[number])
        alike = [f"{v.name} ({rate(v.measured_rps or 0.0)})" for v in result.variants if v.verdict == "no difference"]
        if alike:
            yield f"Within the noise of it: {', '.join(alike)}."
        yield _limit(highest)
        yield from _more_load(highest, result.slo)
        yield from _doubts(candidates[number].runs)
    yield from _how_it_ended(result)


def _rate_found(result: CapacityResult, highest: HighestRate, best: VariantCapacity) -> str:
    who = f"With {best.name} the" if best.overrides else "The"
    lo, hi = highest.interval_rps
    return (
        f"{who} pipeline keeps {result.slo_text} up to {rate(highest.rate_rps)} (95 % interval {rate(lo)} to"
        f" {rate(hi)}). To be safe, offer no more than the lower end."
    )


def _no_rate(result: CapacityResult, candidates: Sequence[Candidate]) -> str:
    """Where no load was found that keeps the SLO."""
    missed = [e for c in candidates for e in c.runs if e.verdict != "met"]
    if result.status != "answered" or not missed:
        return f"Not known yet: the load that keeps {result.slo_text}."
    least = min(missed, key=lambda e: e.long_run)
    if math.isinf(least.long_run) and least.lost:
        share = lost_percent(least.lost_requests / least.requests)
        return (
            f"No load keeps {result.slo_text}: at {rate(least.rate_rps)}, {share} of the requests were"
            f" lost{reason(least.summary)}. They count as infinitely late."
        )
    service = sum(stage.service.p50 or 0.0 for stage in least.summary.stages.values())
    return (
        f"No load keeps {result.slo_text}: it is missed by least at {rate(least.rate_rps)}, where latency is"
        f" {significant(least.long_run)} times the limit. Service alone takes {significant(service)} ms of a typical"
        " request: a faster stage or a shorter batch timeout is needed, not a lower load."
    )


def _limit(highest: HighestRate) -> str:
    found = highest.bottleneck
    busy = "" if found.utilisation is None else f", {found.utilisation:.0%} busy at {rate(found.at_rps)}"
    stage = f"{found.stage} limits it{busy}"
    if highest.limited_by == "throughput":
        return f"The SLO holds up to saturation: the limit is throughput. {stage}."
    if found.largest is None or found.largest_share is None:
        return f"{stage}."
    return (
        f"{stage}: {found.largest_share:.0%} of the latency of the slowest 1 % there is {_component(found)},"
        f" {found.tail_service:.0%} is service of all stages."
    )


def _component(found: Bottleneck) -> str:
    name, _, component = (found.largest or "").partition(".")
    if name == "producer" and not component:
        return "the producer's lateness"
    return _COMPONENTS.get(component, "overhead").format(name)


def _more_load(highest: HighestRate, slo: Sequence[SloLimit]) -> list[str]:
    coming = highest.next
    if coming is None:
        return []
    if coming.excess is None:
        backlog = f": the backlog would grow by {significant(coming.growth_rps)} requests every second"
        return [f"10 % more load leaves no steady state{backlog if coming.growth_rps else ''}."]
    if len(slo) == 1:
        ms = coming.excess * slo[0].limit_ms
        return [f"10 % more load would take {slo[0].limit} to about {significant(ms)} ms ({coming.excess - 1:+.0%})."]
    return [f"10 % more load would exceed the SLO by about {coming.excess - 1:.0%}."]


def _doubts(runs: Sequence[Evidence]) -> Iterator[str]:
    """Lost requests, and checks that say that a run's latencies are not to be believed, except no steady state."""
    lost, issued = sum(e.lost_requests for e in runs), sum(e.requests for e in runs)
    if lost:
        yield f"{lost_percent(lost / issued)} of the requests of these runs were lost and count as infinitely late."
    wrong = {
        check.name: check.message
        for e in runs
        for check in e.summary.checks
        if check.level == "invalid" and check.name != "steady state"
    }
    yield from (f"Not every run is valid, {name}: {text}." for name, text in wrong.items())


def _how_it_ended(result: CapacityResult) -> list[str]:
    rivals = [variant.name for variant in result.variants if variant.verdict == "not measured"]
    unmeasured = f" Not measured: {', '.join(rivals)}." if rivals and result.highest is not None else ""
    wanted = f"the interval was within ±{percent(result.within)}"
    match result.status:
        case "budget spent":
            return [f"The time limit was reached before {wanted}.{unmeasured}"]
        case "runs spent":
            return [f"{MOST_RUNS} runs of one variant were made before {wanted}: the machine is too unsteady."]
        case "interrupted" | "searching":
            return [f"The search ended before {wanted}.{unmeasured}"]
        case "failed":
            return ["Every variant failed."]
    return []
