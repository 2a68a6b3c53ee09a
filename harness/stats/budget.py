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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, Outcome, Phase, RunRecords, ready, stage_columns

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

    def between(self, low: float, high: float) -> Budget:
        """Of the requests whose latency lies between two, ns, both included."""
        mask = (self.e2e >= low) & (self.e2e <= high)
        return Budget(self.e2e[mask], {k: part[mask] for k, part in self.components.items()}, self.due[mask])

    @classmethod
    def joined(cls, pieces: Sequence[Budget]) -> Budget:
        """Of the requests of one or more, in order."""
        names = pieces[0].components
        return cls(
            np.concatenate([piece.e2e for piece in pieces]),
            {name: np.concatenate([piece.components[name] for piece in pieces]) for name in names},
            np.concatenate([piece.due for piece in pieces]),
        )


def budget(records: RunRecords, *, chosen: NDArray[np.bool_] | None = None) -> Budget:
    """Split the latency of completed requests of a run, shape (n,), in the order of issue; it holds all of them.

    records: all issued requests of the run, because each may have held up the producer. chosen: a mask of the
    completed ones to split, shape (len(records),); by default `measured_and_completed`.
    """
    if chosen is None:
        chosen = measured_and_completed(records)
    return split_of(records.select(chosen), held_up(records)[chosen])


def splits(records: RunRecords) -> Iterator[tuple[RunRecords, RunRecords, Budget]]:
    """Block by block: its requests, those of them that are `measured_and_completed`, and how their latency splits."""
    producer = HeldUp(records)
    for block in records.blocks():
        counted, held_up_ns = measured_and_completed(block), producer.of(block)
        done = block if counted.all() else block.select(counted)
        yield block, done, split_of(done, held_up_ns[counted])


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
    producer = HeldUp(records)
    pieces = [producer.of(block) for block in records.blocks(["due", *_offer(records)])]
    return np.concatenate(pieces) if pieces else records.due


class HeldUp:
    """`held_up` of a run block by block, in the order of the rows."""

    def __init__(self, records: RunRecords) -> None:
        self._until_issued, self._until_due = _BlockedUntil(records), _BlockedUntil(records)

    def of(self, block: RunRecords) -> Ints:
        """Of the requests of the next block, ns, shape (n,)."""
        issued = block.issued
        held: Ints = self._until_issued.by(issued) - self._until_due.by(np.minimum(block.due, issued))
        return held


class _BlockedUntil:
    """For how long the producer had been blocked, in all, by some time.

    It reads the spans from the run as the times that it is asked for go on, and keeps those about them. An earlier time
    than those of the last two questions makes it begin anew.
    """

    def __init__(self, records: RunRecords) -> None:
        self._records = records
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._spans = _spans(self._records)
        self._begin, self._end = (np.empty(0, np.int64) for _ in range(2))
        self._over = 0  # ns of the spans that are no longer kept
        self._forgotten = False
        self._since: int | None = None

    def by(self, times: Ints) -> Ints:
        """By each of these times, ns, shape (n,)."""
        if not len(times):
            return times
        earliest, latest = int(times.min()), int(times.max())
        if self._forgotten and earliest <= self._begin[0]:
            self._begin_anew()
        self._read(latest)
        begin, end = self._begin, self._end
        begun = np.searchsorted(begin, times, side="left")  # so many spans had begun
        last = np.maximum(begun - 1, 0)
        left = np.where(begun > 0, np.maximum(end[last] - times, 0), 0) if len(end) else np.zeros_like(times)
        total = np.append(0, np.cumsum(end - begin))
        so_far: Ints = total[begun] - left + self._over
        self._forget(earliest if self._since is None else min(earliest, self._since))
        self._since = earliest
        return so_far

    def _read(self, latest: int) -> None:
        """Up to the first span that begins at `latest` or behind it."""
        begins, ends = [self._begin], [self._end]
        while not len(begins[-1]) or begins[-1][-1] < latest:
            following = next(self._spans, None)
            if following is None:
                break
            begins.append(following[0])
            ends.append(following[1])
        if len(begins) > 1:
            self._begin, self._end = np.concatenate(begins), np.concatenate(ends)

    def _forget(self, earliest: int) -> None:
        """All spans before the last one that begins before `earliest`."""
        first = int(np.searchsorted(self._begin, earliest, side="left")) - 1
        if first > 0:
            self._over += int((self._end[:first] - self._begin[:first]).sum())
            self._begin, self._end = self._begin[first:], self._end[first:]
            self._forgotten = True


def blocked_spans(records: RunRecords) -> tuple[Ints, Ints]:
    """When the producer was blocked: the begin and the end of each span, ascending and apart, ns, shape (n,) each.

    One span a request, of no length where it met a free slot.
    """
    spans = list(_spans(records))
    if not spans:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    begin, end = (np.concatenate(column) for column in zip(*spans, strict=True))
    return begin, end


def _spans(records: RunRecords) -> Iterator[tuple[Ints, Ints]]:
    """These spans block by block. Rows are in the order of issue; within a block they are sorted all the same."""
    last = int(np.iinfo(np.int64).min)
    for block in records.blocks(_offer(records)):
        first = block.stage(0)
        begin, end = first.offered, first.accepted
        if np.any(begin[1:] < begin[:-1]):
            order = np.argsort(begin, kind="stable")
            begin, end = begin[order], end[order]
        # One that was dropped was never accepted, nor was one that the producer held when the run was interrupted.
        end = np.maximum.accumulate(np.maximum(np.maximum(end, begin), np.int64(last)))
        begin = np.maximum(begin, np.append(np.int64(last), end[:-1]))
        last = int(end[-1])
        yield begin, end


def _offer(records: RunRecords) -> tuple[str, ...]:
    return stage_columns(records.layout.stage(0), "offered", "accepted")


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
