"""The latency budget: each request's e2e latency as a sum of components, in ns, that adds up request by request.

A request goes, in time: due, issued (offered to the first stage), and at each stage accepted, taken, started, done.
Two waits for a free slot look different, and both are `blocked` at the stage that had no slot:

* before service: a worker that serves one request at a time asks for a slot of the next stage as soon as it has taken
  a request. Its wait lies between `taken` and `started` of its own stage.
* after service: a batching worker asks when the batch is done. The wait lies behind `done`.

The queue wait of a stage begins when the request lies ready in its channel: accepted there, and done upstream.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, RunRecords

STAGE_COMPONENTS = ("blocked", "queue_wait", "batch_wait", "service")
PRODUCER, RESIDUAL = "producer", "residual"


@dataclass(frozen=True)
class Budget:
    """components: name -> ns, shape (n,). e2e is their sum, exactly: `residual` holds what lies between two stamps."""

    e2e: Ints
    components: dict[str, Ints]

    def shares(self, mask: NDArray[np.bool_]) -> dict[str, float]:
        """Each component's share of the total latency of the requests that `mask` picks."""
        total = float(self.e2e[mask].sum())
        return {name: float(part[mask].sum()) / total if total else 0.0 for name, part in self.components.items()}


def budget(records: RunRecords, *, open_load: bool, batching: Collection[str] = ()) -> Budget:
    """Split the latency of completed requests, shape (n,), in the order of issue.

    batching: names of the stages that serve batches; elsewhere nothing is waited for between taken and started but a
    free slot, and what is left of that time is overhead.
    open_load: the arrivals did not wait for the pipeline, so that a request that was due while the producer was still
    blocked with earlier ones was blocked too. What is left of issued - due is the producer's own lateness.
    """
    stages = records.stages
    first = stages[0]
    lateness = records.issued - records.due
    held_up = np.zeros_like(lateness)
    if open_load and len(records):
        before = _blocked_until(first.offered, first.accepted, records.due)
        held_up = _blocked_until(first.offered, first.accepted, first.offered) - before
    components = {PRODUCER: lateness - held_up}
    for i, stage in enumerate(stages):
        following = stages[i + 1] if i + 1 < len(stages) else None
        inside = _overlap(following.offered, following.accepted, stage.taken, stage.started) if following else 0
        ready = np.maximum(stage.accepted, stages[i - 1].done) if i else stage.accepted
        components[f"{stage.name}.blocked"] = stage.accepted - stage.offered + (0 if i else held_up)
        components[f"{stage.name}.queue_wait"] = stage.taken - ready
        held = stage.started - stage.taken - inside
        components[f"{stage.name}.batch_wait"] = held if stage.name in batching else np.zeros_like(held)
        components[f"{stage.name}.service"] = stage.done - stage.started
    e2e = records.completed - records.due
    components[RESIDUAL] = e2e - np.sum(list(components.values()), axis=0)
    return Budget(e2e, components)


def _blocked_until(offered: Ints, accepted: Ints, at: Ints) -> Ints:
    """For how long the producer had been blocked, in all, by each of the times `at`."""
    total = np.concatenate([[0], np.cumsum(accepted - offered)])
    last = np.searchsorted(offered, at, side="right") - 1  # the last that was offered by then; -1: none
    inside = np.minimum(at, accepted[last]) - offered[last]
    until: Ints = np.where(last < 0, 0, total[last] + np.maximum(inside, 0))
    return until


def _overlap(begin: Ints, end: Ints, low: Ints, high: Ints) -> Ints:
    inside: Ints = np.maximum(0, np.minimum(end, high) - np.maximum(begin, low))
    return inside
