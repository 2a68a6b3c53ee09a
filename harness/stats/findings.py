"""What the figures of a run say, in words: what dominates, where the tail comes from, what to try next."""

from __future__ import annotations

from harness.numbers import ms, rate, significant
from harness.stats.slo import lost_percent
from harness.summary import SteadyState, Summary

WAITS = ("queue_wait", "batch_wait", "blocked")


def findings(summary: Summary) -> list[str]:
    """Sentences for a person, the most important first, from the summary's own figures."""
    if not summary.requests.completed:
        return _nothing(summary)
    lost = _lost(summary)
    if summary.saturated and summary.steady_state is not None:
        return [*lost, *_saturated(summary, summary.steady_state)]
    return [*lost, *_dominant(summary), *_tail(summary), *_next(summary)]


def _nothing(summary: Summary) -> list[str]:
    """Of a run in which no request completed."""
    counts = summary.requests
    if counts.dropped and counts.dropped >= counts.failed:
        return ["No request completed: they were dropped.", _SHED]
    if not counts.failed:
        return ["No request completed: there is nothing to read."]
    return [f"No request completed: {counts.failed:,} of {counts.issued:,} failed{reason(summary)}."]


def _lost(summary: Summary) -> list[str]:
    """What share of the requests has no latency, before anything is said about those that do."""
    counts = summary.requests
    failed = counts.failed - counts.aborted
    sentences = []
    if counts.dropped:
        share = _share(counts.dropped, counts.issued)
        sentences += [f"{share} were dropped: the latencies are only of those that were let in.", _SHED]
    if failed:
        sentences.append(f"{_share(failed, counts.issued)} failed{reason(summary)}.")
    return sentences


_SHED = "Against drops (on_full: shed): a larger capacity or more workers for the first stages, or a lower load."


def _share(count: int, whole: int) -> str:
    return f"{lost_percent(count / whole)} of the requests ({count:,} of {whole:,})"


def reason(summary: Summary) -> str:
    """The most frequent reason of a failure, as the end of a sentence."""
    failures = summary.failures
    if not failures:
        return ""
    reason = max(failures, key=lambda text: failures[text])
    return f", most often ({failures[reason]:,}) with: {reason.strip().partition(chr(10))[0].rstrip('.')}"


def _saturated(summary: Summary, state: SteadyState) -> list[str]:
    name = summary.bottleneck
    carried = f" It carries about {rate(state.capacity_rps)}." if state.capacity_rps else ""
    return [
        f"The load is above what the pipeline can carry: {rate(state.offered_rps)} are offered, and the backlog"
        f" grows by {significant(state.growth_rps)} requests every second.{carried}"
        " Latency then depends on how long the run lasts, so no quantile is shown.",
        f"{name} is the bottleneck ({_percent(summary.stages[name].utilisation)} busy): give it workers, larger"
        " batches or a faster backend, lower the load, or shed (on_full: shed).",
    ]


def _dominant(summary: Summary) -> list[str]:
    services = {name: stage.service.p50 or 0.0 for name, stage in summary.stages.items()}
    total = sum(services.values())
    name = max(services, key=lambda n: services[n])
    share = services[name] / total if total else 0.0
    verb = "dominates" if share > 0.5 else "is the largest part of"
    sentences = [
        f"{name} {verb} the work: {share:.0%} of the service time of a typical request ({ms(services[name])} ms)."
    ]
    parts = {part: times.p50 or 0.0 for part, times in summary.stages[name].parts.items()}
    if parts:
        largest = max(parts, key=lambda p: parts[p])
        sentences.append(f"Most of {name} is {largest} ({ms(parts[largest])} ms).")
    preprocess = [n for n in services if n.startswith("preprocess")]
    if preprocess and name not in preprocess and total:
        part = services[preprocess[0]] / total
        sentences.append(f"Preprocessing takes {'less than 1%' if part < 0.01 else f'{part:.0%}'} of it.")
    return sentences


def _tail(summary: Summary) -> list[str]:
    shares = summary.tail.shares
    ratio = _ratio(summary.e2e.p99, summary.e2e.p50)
    if ratio < 1.5:
        return [f"p99 is {ratio:.1f} times the median: the tail is short."]
    cause = max(shares, key=lambda name: shares[name])
    stage, _, component = cause.partition(".")
    words = {
        "queue_wait": f"waiting in the queue of {stage}",
        "batch_wait": f"waiting in {stage} for a batch to fill",
        "blocked": f"waiting for a free slot of {stage}",
        "service": f"the service time of {stage} itself",
    }
    what = words.get(component, "the producer's lateness" if cause == "producer" else "overhead between the stamps")
    sentences = [
        f"p99 is {ratio:.1f} times the median. In the slowest 1 % the largest part is {what} ({shares[cause]:.0%})."
    ]
    service = summary.stages[stage].service if stage in summary.stages else None
    varies = _ratio(service.p99, service.p50) if service else 1.0
    if varies > 1.5:
        sentences.append(f"The service of {stage} itself varies: its p99 is {varies:.1f} times its median.")
    return sentences


def _ratio(high: float | None, low: float | None) -> float:
    return high / low if high is not None and low else 1.0


def _next(summary: Summary) -> list[str]:
    """What to try: by what the tail is made of, else by what dominates."""
    shares, name = summary.tail.shares, summary.bottleneck
    waits = {w: sum(v for k, v in shares.items() if k.endswith(f".{w}")) for w in WAITS}
    largest = max(waits, key=lambda w: waits[w])
    if shares.get("producer", 0.0) > 0.2:
        return ["Try: free a core for the producer; its lateness is part of the tail."]
    if waits[largest] < 0.3:
        return [f"Try: a faster {name}; waiting is only {sum(waits.values()):.0%} of the tail."]
    if largest == "batch_wait":
        return ["Try: a shorter batch timeout; the tail waits for batches to fill."]
    busy = summary.stages[name].utilisation
    if busy is not None and busy < 0.4:
        return [
            f"Try: smoother arrivals or a shorter worst service; {name} is busy only {busy:.0%} of the time"
            " and still queues."
        ]
    return [f"Try: a second worker or larger batches for {name} ({_percent(busy)} busy), or a lower load."]


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.0%}"
