"""The twin on its own, for studies of queues: arrays of due and service times in, the stamps of every request out.

    stamps = harness.twin.simulate(due_ns, service_ns, workers=[1, 2], capacity=[None, 4])
    sojourn_ns = stamps.done[:, -1] - due_ns

A tandem of stages with finite channels, several workers, batches and blocking, as docs/twin.md describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.records import Ints, Outcome, RunRecords
from harness.twin.pipeline import START_NS, Demand, Pipeline, Station

NEVER = -1
"""In stamps: it did not happen. Also the worker and the batch of what was not served."""

Number = TypeVar("Number")
Each: TypeAlias = Number | Sequence[Number]
"""One value for all stages, or one for each."""


@dataclass(frozen=True)
class Stamps:
    """When each request did what. Times are int64, ns on the clock of the due times; `NEVER`, -1, where it did not.

    due: when it was due, shape (n,). Of each stage, shape (n, stages): offered, when a slot of the stage's channel was
    asked for; accepted, when it was had; taken, when a worker took the request; started and done, of its service;
    worker, the index of the one that served it; batch, the index of the first request of its batch.
    """

    due: Ints
    offered: Ints
    accepted: Ints
    taken: Ints
    started: Ints
    done: Ints
    worker: Ints
    batch: Ints

    def __len__(self) -> int:
        return len(self.due)

    @cached_property
    def completed(self) -> NDArray[np.bool_]:
        """Which requests were served by every stage, shape (n,): all but those that were dropped."""
        return np.asarray(self.done[:, -1] != NEVER)

    @cached_property
    def sojourn(self) -> Ints:
        """From due to the end of the last service, ns, shape (n,); NEVER of requests that were dropped."""
        return np.where(self.completed, self.done[:, -1] - self.due, NEVER)


def simulate(
    due_ns: ArrayLike | None,
    service_ns: ArrayLike,
    *,
    workers: Each[int] = 1,
    capacity: Each[int | None] = None,
    batch: Each[int] = 1,
    timeout_ns: Each[int] = 0,
    shed: bool = False,
    concurrency: int = 0,
) -> Stamps:
    """Simulate a tandem of stages, exactly and to the nanosecond: the same arrays give the same stamps.

    due_ns: when requests arrive, shape (n,), whole numbers of at least 0, ascending. None for a closed load of
    `concurrency` requests in flight: the first of them are due at 0, and each further one when one completes.
    service_ns: how long each request takes at each stage, shape (n, stages) or (n,) for one stage, whole numbers of at
    least 1. A batch takes as long as its first request says; of shape (n, stages, m), [i, s, k - 1] is what a batch of
    k requests takes whose first one is i, and larger ones take what m do.
    workers: of each stage. capacity: of its channel, Kendall's K: requests that wait for the stage and those in its
    service hold a slot each; None: there is always room. batch, timeout_ns: the largest batch, and how long its first
    request waits for others. shed: drop a request that finds the first channel full, instead of letting it wait.

    A stage that serves single requests takes a slot of the next one before its service, one that batches after it
    (blocking before and after service). Raises ValueError for shapes and values other than these.
    """
    from harness.twin import compiled  # numba takes a second to import

    service = _whole(service_ns, "service_ns")
    if service.ndim == 1:
        service = service[:, None]
    if service.ndim == 2:
        service = service[:, :, None]
    if service.ndim != 3 or not service.shape[1] or not service.shape[2]:
        raise ValueError(f"service_ns has shape (n, stages) or (n, stages, m), not {np.shape(service_ns)}")
    count, stages = service.shape[:2]
    due = None if due_ns is None else _whole(due_ns, "due_ns")
    if due is not None and due.shape != (count,):
        raise ValueError(f"due_ns has shape ({count},), as service_ns has {count} requests, not {due.shape}")
    if due is not None and count and (due[0] < 0 or (np.diff(due) < 0).any()):
        raise ValueError("due_ns ascends from 0 or later")
    room = max(count, concurrency, 1)
    slots, largest = _each(capacity, stages, "capacity"), _each(batch, stages, "batch")
    stations = tuple(
        Station(f"stage{i}", w, max(room, b) if k is None else k, b, t)
        for i, (w, k, b, t) in enumerate(
            zip(_each(workers, stages, "workers"), slots, largest, _each(timeout_ns, stages, "timeout_ns"), strict=True)
        )
    )
    start = START_NS if due is None else 1  # stamps of the model begin at 1: 0 means never in the records
    columns = tuple(np.ascontiguousarray(service[:, i, :]) for i in range(stages))
    demand = Demand(columns, None if due is None else due + start, concurrency=concurrency)
    return _stamps(compiled.simulate(Pipeline(stations, shed), demand), start)


def _stamps(records: RunRecords, start: int) -> Stamps:
    dropped = records.outcome == Outcome.DROPPED

    def of_stages(field: str, less: int) -> Ints:
        columns: Ints = np.stack([getattr(stage, field) for stage in records.stages], axis=1) - less
        columns[dropped, 0 if field != "offered" else 1 :] = NEVER
        return columns

    times = {name: of_stages(name, start) for name in ("offered", "accepted", "taken", "started", "done")}
    return Stamps(due=records.due - start, worker=of_stages("worker", 0), batch=of_stages("batch", 0), **times)


def _whole(values: ArrayLike, name: str) -> Ints:
    """Whole numbers as int64. Raises ValueError where one is not."""
    found = np.asarray(values)
    if found.dtype.kind in "iu":
        return found.astype(np.int64)
    if found.dtype.kind != "f" or not (found == np.rint(found)).all():
        raise ValueError(f"{name} holds whole numbers of ns, not {found.dtype} with fractions: round them first")
    return found.astype(np.int64)


def _each(value: Each[Number], stages: int, name: str) -> Sequence[Number]:
    if isinstance(value, Sequence | np.ndarray):
        if len(value) != stages:
            raise ValueError(f"{name} has one value for each of {stages} stages, not {len(value)}")
        return list(value)
    return [value] * stages
