"""The latency budget: each request's e2e latency as a sum of components, in ns, that adds up request by request.

A request goes, in time: due, issued (offered to the first stage), and at each stage accepted, taken, started, done.
Two waits for a free slot look different, and both are `blocked` at the stage that had no slot:

* before service: a worker that serves one request at a time asks for a slot of the next stage as soon as it has taken
  a request. Its wait lies between `taken` and `started` of its own stage.
* after service: a batching worker asks when the batch is done. The wait lies behind `done`.

The queue wait of a stage begins when the request lies ready in its channel: accepted there, and done upstream.

Before its first stage a request waits for the producer, which offers one request after another. As long as a full
channel blocks it with one, of whatever phase and outcome, those that become due behind it are blocked too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, Outcome, Phase, RunRecords, ready

STAGE_COMPONENTS = ("blocked", "queue_wait", "batch_wait", "service")
PRODUCER, RESIDUAL = "producer", "residual"


@dataclass(frozen=True)
class Budget:
    """components: name -> ns, shape (n,). e2e is their sum, exactly: `residual` holds what lies between two stamps.

    due: when each became due, ns, shape (n,).
    """

    e2e: Ints
    components: dict[str, Ints]
    due: Ints

    def shares(self, mask: NDArray[np.bool_]) -> dict[str, float]:
        """Each component's share of the total latency of the requests that `mask` picks."""
        total = float(self.e2e[mask].sum())
        return {name: float(part[mask].sum()) / total if total else 0.0 for name, part in self.components.items()}


def budget(records: RunRecords, *, chosen: NDArray[np.bool_] | None = None) -> Budget:
    """Split the latency of completed requests of a run, shape (n,), in the order of issue.

    records: all issued requests of the run, because each may have held up the producer. chosen: a mask of the
    completed ones to split, shape (len(records),); by default `measured_and_completed`.
    """
    if chosen is None:
        chosen = measured_and_completed(records)
    return split_of(records.select(chosen), held_up(records)[chosen])


def measured_and_completed(records: RunRecords) -> NDArray[np.bool_]:
    """Which requests have a latency that counts, shape (n,)."""
    mask: NDArray[np.bool_] = (records.column("phase") == Phase.MEASURED) & (records.outcome == Outcome.COMPLETED)
    return mask


def held_up(records: RunRecords) -> Ints:
    """For how long of issued - due the producer was blocked with other requests, ns, shape (n,).

    records: every request with which the producer was blocked since the earliest of their due times; what was over
    before that changes nothing. What is left of issued - due is the producer's own lateness, under an open load as
    under a closed one.
    """
    if not len(records):
        return records.due
    issued, due = records.issued, records.due
    begin, end = blocked_spans(records)
    total = np.concatenate([[0], np.cumsum(end - begin)])

    def blocked_by(times: Ints) -> Ints:
        """For how long the producer had been blocked, in all, by each of these times."""
        begun = np.searchsorted(begin, times, side="left")  # so many spans had begun
        left = np.where(begun > 0, np.maximum(end[np.maximum(begun - 1, 0)] - times, 0), 0)
        so_far: Ints = total[begun] - left
        return so_far

    return blocked_by(issued) - blocked_by(np.minimum(due, issued))


def blocked_spans(records: RunRecords) -> tuple[Ints, Ints]:
    """When the producer was blocked: the begin and the end of each span, ascending and apart, ns, shape (n,) each.

    One span a request, of no length where it met a free slot.
    """
    first = records.stages[0]
    order = np.argsort(first.offered, kind="stable")
    begin = first.offered[order]
    # One that was dropped was never accepted, nor was one that the producer held when the run was interrupted.
    end = np.maximum.accumulate(np.maximum(first.accepted[order], begin))
    begin[1:] = np.maximum(begin[1:], end[:-1])
    return begin, end


def split_of(records: RunRecords, held_up_ns: Ints) -> Budget:
    """Split the latency of requests that all completed. held_up_ns: what `held_up` says of them, shape (n,).

    In a stage that does not batch nothing is waited for between taken and started but a free slot, and what is left of
    that time is overhead.
    """
    stages = records.stages
    components = {PRODUCER: records.issued - records.due - held_up_ns}
    for i, stage in enumerate(stages):
        following = stages[i + 1] if i + 1 < len(stages) else None
        inside = _overlap(following.offered, following.accepted, stage.taken, stage.started) if following else 0
        components[f"{stage.name}.blocked"] = stage.accepted - stage.offered + (0 if i else held_up_ns)
        components[f"{stage.name}.queue_wait"] = stage.taken - ready(records, i)
        held = stage.started - stage.taken - inside
        components[f"{stage.name}.batch_wait"] = held if stage.layout.batching else np.zeros_like(held)
        components[f"{stage.name}.service"] = stage.done - stage.started
    e2e = records.completed - records.due
    components[RESIDUAL] = e2e - np.sum(list(components.values()), axis=0)
    return Budget(e2e, components, records.due)


def _overlap(begin: Ints, end: Ints, low: Ints, high: Ints) -> Ints:
    inside: Ints = np.maximum(0, np.minimum(end, high) - np.maximum(begin, low))
    return inside
