"""What several readers of records derive from the stamps, once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records.records import RunRecords
from harness.records.sources import Ints


def ready(records: RunRecords, which: str | int) -> Ints:
    """When each request lay ready in front of a stage, ns, shape (n,): it had a slot there, and upstream was done.

    0 where that never came to be. Columns: the stage's `accepted` and, of each stage upstream, `done`.
    """
    stage = records.stage(which)
    last = stage.accepted
    for name in stage.layout.upstream:
        done = records.stage(name).done
        last = np.where((last > 0) & (done > 0), np.maximum(last, done), 0)
    return last


@dataclass(frozen=True)
class Batches:
    """The batches that requests of a stage were served in. first: index of the first request of each, ascending in
    `number`; size: how many it had; number: the batch of each request, shape (n,), an index into both."""

    first: NDArray[np.intp]
    size: Ints
    number: Ints


def batches(batch: Ints) -> Batches:
    """Which requests were served together. batch: a stage's column of that name, of requests that were served there.

    A batch is named by its first request's row, so that no other of the run has its name.
    """
    count = len(batch)
    if np.all(np.diff(batch) > 0):  # each is a batch of its own
        return Batches(np.arange(count), np.ones(count, np.int64), np.arange(count))
    _, first, number, size = np.unique(batch, return_index=True, return_inverse=True, return_counts=True)
    return Batches(first, size.astype(np.int64), number.reshape(-1).astype(np.int64))


def first_of_batches(batch: Ints) -> NDArray[np.intp]:
    """Index of the first request of each batch: the service of a batch is one service. See `batches`."""
    return batches(batch).first
