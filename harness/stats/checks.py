"""Validity: may the figures of this run be believed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.numbers import ms, rate, significant
from harness.pinning import PRODUCER, Pinned, conflicts
from harness.records import Outcome, RunRecords
from harness.stats.intervals import Interval, Values, dependent, early_stopping_needed
from harness.summary import QUANTILES, Check, Effective, InFlight, Level, Recording, RequestCounts, SteadyState
from harness.units import format_cpus

LATE_WARNING, LATE_INVALID = 0.05, 0.25  # of the median e2e latency
APART = 0.05
"""Relative difference between requests in flight by stamps and as counted that is not one of the stamps."""
HAND_OVER_S = 0.002
"""The same for the time in flight of a request: a process that shares its core may be held up for so long between a
stamp and what is counted."""
FEWEST_MOMENTS = 20

SHORT_RUN = "p99 is likelier too low than too high"
"""Of a run that is too short for an interval: it likely met few long busy periods (docs/intervals.md)."""


def worst(checks: list[Check]) -> Level:
    """The level of the whole run."""
    return max((c.level for c in checks), key=("ok", "warning", "invalid").index, default="ok")


def finished(status: str) -> Check:
    """Did the run come to its end?"""
    levels: dict[str, Level] = {"completed": "ok", "interrupted": "warning"}
    words = {"completed": "to its end", "interrupted": "interrupted: the figures are of what had completed"}
    return Check("run", levels.get(status, "invalid"), words.get(status, status))


def threads(requested: Mapping[str, int], effective: Mapping[str, Effective]) -> Check:
    """Has each worker the compute threads that were asked for?

    requested: by stage. effective: what each worker read back, by its name. A stage of which nothing was read back is
    named, not vouched for.
    """
    wrong, unread = [], dict.fromkeys(requested)
    for worker, told in effective.items():
        stage = worker.rpartition("-")[0]
        if stage not in requested:
            continue
        libraries = {count: f" ({name})" for name, count in told.library_threads.items()}
        own = told.threads
        there = libraries | ({} if own is None else {own: ""})
        if there:
            unread.pop(stage, None)
        wrong += [
            f"{worker} has {count}{whose} and was to have {requested[stage]}"
            for count, whose in there.items()
            if count != requested[stage]
        ]
    missing = f"not read back in {', '.join(unread)}" if unread else ""
    if wrong:
        return Check("threads", "warning", "; ".join([*wrong, missing] if missing else wrong))
    read = [stage for stage in requested if stage not in unread]
    if not read:
        return Check("threads", "ok", missing or "no stage asks for any")
    where = "every worker" if not missing else ", ".join(read)
    return Check("threads", "ok", f"as requested, read back in {where}{missing and '; ' + missing}")


def pinning(parts: Sequence[Pinned], effective: Mapping[str, Effective]) -> list[Check]:
    """Runs each pinned part where it was to, and undisturbed by the others? No verdict where nothing is pinned.

    effective: what each worker read back, by its name: its `cpus`, as text.
    """
    if not parts:
        return []
    wanted = {part.name: format_cpus(part.cpus) for part in parts}
    found = []
    for worker, told in effective.items():
        name = worker if worker == PRODUCER else worker.rpartition("-")[0]
        if name in wanted and told.cpus != wanted[name]:
            found.append(f"{worker} runs on {told.cpus or 'unknown CPUs'} and was to run on {wanted[name]}")
    found += conflicts(parts)
    where = ", ".join(f"{name} on {cpus}" for name, cpus in wanted.items())
    return [Check("pinning", "warning" if found else "ok", "; ".join(found) or f"{where}, read back in every worker")]


def schedule(late_ms: float, median_ms: float) -> Check:
    """Did the producer keep its schedule?

    late_ms: p99 of its own lateness, without the time for which a full channel held it. median_ms: of the e2e latency.
    """
    share = late_ms / median_ms if median_ms else 0.0
    level: Level = "invalid" if share > LATE_INVALID else "warning" if share > LATE_WARNING else "ok"
    advice = "" if level == "ok" else "; free a core for the producer, or lower the load"
    return Check(
        "schedule", level, f"producer's own lateness p99 {late_ms:.3f} ms, {share:.1%} of the median latency{advice}"
    )


def samples(latency: NDArray[Any] | Values, p99: Interval) -> Check:
    """Are there enough requests for the quantiles that are shown? latency: in order of arrival, shape (n,)."""
    completed = len(latency)
    worth = f"{completed:,} requests are worth about {p99.n_effective:,.0f} independent ones"
    if p99.answered:
        least = 10 * p99.needed  # a tenth of the tail
        note = f"; p99.9 needs about {least:,}" if completed < least else ""
        return Check("samples", "ok", f"{worth}: enough for p99{note}")
    others = [quantile for quantile in QUANTILES if quantile.key != "p99"]
    poor = [quantile.header for quantile in others if not dependent(latency, quantile.level).answered]
    also = f" (and {', '.join(poor)})" if poor else ""
    return Check(
        "samples",
        "warning",
        f"{worth}: too few for an interval on p99{also}; {SHORT_RUN}. Needed: about {p99.needed - completed:,} more"
        f" ({_loadgen(completed)})",
    )


def _loadgen(completed: int) -> str:
    """How many more MLPerf LoadGen's early-stopping rule asks for."""
    missing = early_stopping_needed(0.99) - completed
    more = f"{missing:,}" if missing > 0 else "no more"
    return f"{more} if independent, by MLPerf's rule"


def conserved(counts: RequestCounts, scheduled: int | None, status: str) -> Check:
    """Is every request that was to be issued accounted for? scheduled: how many, where that is known.

    In a run that came to its end none may be left without an outcome.
    """
    issued, ended = counts.issued, counts.completed + counts.failed + counts.dropped
    sums = f"issued {issued:,} = completed {counts.completed:,} + failed {counts.failed:,} + dropped {counts.dropped:,}"
    if issued != ended:
        return Check("conservation", "invalid", f"{issued - ended:,} lost: {sums}")
    if status == "completed" and counts.aborted:
        return Check("conservation", "invalid", f"{counts.aborted:,} requests never ended")
    if status == "completed" and scheduled is not None and issued != scheduled:
        return Check("conservation", "invalid", f"{scheduled:,} were to be issued, and {issued:,} were")
    return Check("conservation", "ok", sums)


def recorded(recording: Recording) -> Check:
    """Did the load have to wait until the records before it had been written to the disk?

    Such a wait is the tool's own: the requests that became due meanwhile were issued late by it.
    """
    if not recording.waits:
        return Check("recording", "ok", "the load never waited for the disk")
    times = "once" if recording.waits == 1 else f"{recording.waits:,} times"
    message = f"the producer waited {times}, {recording.waited_s:.3f} s in all, until records had been written"
    return Check("recording", "warning", f"{message}; free a core, save to a quicker disk, or lower the load")


def served(counts: RequestCounts) -> Check:
    """Were the requests served? Latencies are those of the completed ones only."""
    lost = {name: count for name, count in (("failed", counts.failed), ("dropped", counts.dropped)) if count}
    if not counts.completed:
        return Check("served", "invalid", "no request completed")
    if not lost:
        return Check("served", "ok", "every request completed")
    parts = " and ".join(f"{count / counts.issued:.1%} {name}" for name, count in lost.items())
    return Check("served", "warning", f"{parts}: the latencies are those of the others")


def ordered(records: RunRecords) -> Check:
    """Do the stamps of every completed request follow one another?"""
    done = wrong = 0
    for block in records.blocks():
        completed = block.with_outcome(Outcome.COMPLETED)
        done, wrong = done + len(completed), wrong + disordered(completed)
    return in_order(done, wrong)


def in_order(done: int, wrong: int) -> Check:
    """The same, where it is known of how many completed requests the stamps do not: see `disordered`."""
    if wrong:
        return Check("stamps", "invalid", f"{wrong:,} requests have stamps that are missing or out of order")
    return Check("stamps", "ok", f"in order in all {done:,} completed requests")


def disordered(done: RunRecords) -> int:
    """How many completed requests have stamps that are missing or out of order."""
    wrong = np.zeros(len(done), bool)
    before = done.due
    for stage in done.stages:
        stamps = (stage.offered, stage.accepted, stage.taken, stage.started, stage.done)
        for stamp in stamps:
            wrong |= stamp == 0
        for earlier, later in pairwise(stamps):
            wrong |= later < earlier
        wrong |= stage.taken < before
        before = stage.done
    return int(np.count_nonzero(wrong))


def little(found: InFlight | None) -> Check:
    """Do the stamps say that as many requests were in flight as were counted without them?"""
    if found is None or found.moments < FEWEST_MOMENTS:
        return Check("little's law", "ok", "too short a run to count requests in flight")
    text = (
        f"{significant(found.counted)} requests in flight as counted at {found.moments:,} moments,"
        f" {significant(found.by_stamps)} by the stamps:"
        f" {ms(abs(found.apart_s) * 1e3)} ms a request {'more' if found.apart_s > 0 else 'less'}"
    )
    allowed = APART * max(found.counted, found.by_stamps) + HAND_OVER_S * found.rate_rps
    holds = abs(found.by_stamps - found.counted) <= allowed
    return Check("little's law", "ok" if holds else "warning", text)


def steady(state: SteadyState, bottleneck: str, utilisation: float) -> Check:
    """Is there a steady state at all?"""
    if state.verdict == "saturated":
        carried = f"; the pipeline carries {rate(state.capacity_rps)}" if state.capacity_rps else ""
        return Check(
            "steady state",
            "invalid",
            f"none: {rate(state.offered_rps)} are offered and the backlog grows by {significant(state.growth_rps)}"
            f" requests/s{carried}. A p99 would measure the length of the run",
        )
    if state.verdict == "drifting":
        return Check(
            "steady state", "warning", f"latencies drift (p = {state.trend.p_value:.1g}): warm up longer, run longer"
        )
    if utilisation > 0.95:
        return Check("steady state", "warning", f"{bottleneck} is at {utilisation:.0%}: waits are far from settled")
    return Check(
        "steady state", "ok", f"backlog does not grow; {bottleneck} is the busiest stage, at {utilisation:.0%}"
    )
