"""What happened when: who waited where, who was in flight, and the way of a single request."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from harness.records import STAMPS, Ints, Outcome, Phase, RunRecords

Mask = NDArray[np.bool_]


def depth(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The times at which the number of intervals changes, ascending, and their number from then on.

    begin, end: shape (n,), 0 for never. An interval that does not end stays.
    """
    begin, end = begin[begin > 0], end[(begin > 0) & (end > 0)]
    times, at = np.unique(np.concatenate([begin, end]), return_inverse=True)
    steps = np.bincount(at, weights=np.repeat([1, -1], [len(begin), len(end)]), minlength=len(times)).astype(np.int64)
    return times[steps != 0], np.cumsum(steps)[steps != 0]


def ended(records: RunRecords) -> Ints:
    """The last stamp of each request, shape (n,): when it completed, failed or was dropped, or was last seen."""
    last: Ints = np.zeros(len(records), np.int64)
    for name in records.layout.names:
        for stamp in STAMPS:
            np.maximum(last, records.column(f"{name}.{stamp}"), out=last)
    return last


def slowest(records: RunRecords, count: int) -> list[int]:
    """The indices of the measured requests that took longest from due to completed, the slowest first."""
    rows = latencies = np.empty(0, np.int64)
    first = 0
    for block in records.blocks(["phase", "outcome", "due", f"{records.layout.names[-1]}.done"]):
        eligible = np.flatnonzero((block.column("phase") == Phase.MEASURED) & (block.outcome == Outcome.COMPLETED))
        rows = np.append(rows, first + eligible)
        latencies = np.append(latencies, (block.completed - block.due)[eligible])
        best = np.argsort(-latencies, kind="stable")[:count]
        rows, latencies = rows[best], latencies[best]
        first += len(block)
    return [int(row) for row in rows]


def in_flight(records: RunRecords, begin_ns: int, end_ns: int) -> Mask:
    """Which requests were due and had not ended at some time of the interval, shape (n,)."""
    masks = [(block.due <= end_ns) & (ended(block) >= begin_ns) for block in records.blocks()]
    return np.concatenate(masks) if masks else np.empty(0, np.bool_)


def meanwhile(records: RunRecords, shown: Mask) -> Mask:
    """Which requests were in flight while any of the shown ones was, these included, shape (n,).

    One that never ended was in flight until the end.
    """
    begins, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    first = 0
    for block in records.blocks():
        mask = shown[first : first + len(block)]
        if mask.any():
            begins.append(block.due[mask])
            ends.append(ended(block)[mask])
        first += len(block)
    begin, end = np.concatenate(begins), np.concatenate(ends)
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    found = np.zeros(len(records), np.bool_)
    first = 0
    for block in records.blocks():
        left = ended(block)
        left[(block.outcome == Outcome.ABORTED) | (block.outcome == Outcome.PENDING)] = np.iinfo(np.int64).max
        begun = np.searchsorted(begin, left, side="right")  # so many of the shown were due before it ended
        last = end[np.maximum(begun - 1, 0)] if len(end) else left
        found[first : first + len(block)] = (begun > 0) & (last >= block.due)
        first += len(block)
    return found | shown


def around(records: RunRecords, chosen: Collection[int], most: int) -> Mask:
    """Which requests were issued just before or after one of the chosen; not more than `most`, in equal shares."""
    mask = np.zeros(len(records), np.bool_)
    half = max(1, most // (2 * max(1, len(chosen))))
    for index in chosen:
        mask[max(0, index - half) : index + half] = True
    return mask


FINEST = 1e-3
"""Share of the wait to be issued below which the time between two requests that blocked the producer is not cut out."""


def passage(records: RunRecords, row: int, blocked: tuple[Ints, Ints]) -> Iterator[tuple[str, int, int]]:
    """What a completed request went through, in time: (stage and component, begin, end), ns, without gaps.

    The components are those of the budget; see `harness.stats.budget`. What belongs to none is `between stamps`.
    blocked: `budget.blocked_spans` of the whole run.
    """
    what, begin, end = "", 0, 0
    for name, low, high in _cut(records, row, blocked):
        if name == what:
            end = high
            continue
        if end > begin:
            yield what, begin, end
        what, begin, end = name, low, high
    if end > begin:
        yield what, begin, end


def _cut(records: RunRecords, row: int, blocked: tuple[Ints, Ints]) -> Iterator[tuple[str, int, int]]:
    """The same in pieces, of which several in a row may be of one name."""
    values = {name: int(records.column(name)[row]) for name in records.layout.columns}
    stages = records.layout.names
    cuts = list(_until_issued(values["due"], values[f"{stages[0]}.offered"], stages[0], blocked))
    for index, name in enumerate(stages):
        following = stages[index + 1] if index + 1 < len(stages) else None
        taken, started, done = (values[f"{name}.{stamp}"] for stamp in ("taken", "started", "done"))
        if index == 0:
            cuts.append((f"{name} blocked", values[f"{name}.accepted"]))
        cuts.append((f"{name} queue wait", taken))
        if name in records.layout.batching:
            cuts.append((f"{name} batch wait", started))
        elif following:
            wait = (values[f"{following}.{stamp}"] for stamp in ("offered", "accepted"))
            begin, end = (min(max(stamp, taken), started) for stamp in wait)
            cuts += [("between stamps", begin), (f"{following} blocked", end), ("between stamps", started)]
        else:
            cuts.append(("between stamps", started))
        cuts.append((f"{name} service", done))
        if following:
            cuts.append((f"{following} blocked", max(done, values[f"{following}.accepted"])))
    begin = values["due"]
    for what, end in cuts:
        if end > begin:
            yield what, begin, end
        begin = end


def _until_issued(due: int, issued: int, first: str, blocked: tuple[Ints, Ints]) -> Iterator[tuple[str, int]]:
    """The ends of what a request waited for until it was issued: the producer, or what that was blocked with."""
    low, high = np.searchsorted(blocked[1], due, side="right"), np.searchsorted(blocked[0], issued, side="left")
    begin, end = blocked[0][low:high], np.minimum(blocked[1][low:high], issued)
    long = end > begin
    now = due
    for since, until in zip(begin[long].tolist(), end[long].tolist(), strict=True):
        if since - now >= FINEST * (issued - due):
            yield "producer", since
        yield f"{first} blocked", until
        now = until
    if issued - now >= FINEST * (issued - due):
        yield "producer", issued
