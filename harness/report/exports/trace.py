"""A run as trace events: the JSON that ui.perfetto.dev and chrome://tracing open.

Each stage is a process. In it every worker is a thread with what it did, requests that wait are a track, and their
number a counter. The producer is a process too. In the first one each of the slowest requests has a line of its own,
cut into its components. Flows lead from a request's issue through the workers that served it.

The format is the Trace Event Format, and what Perfetto's importer asks beyond it: the slices of a thread follow one
another or nest, a flow event stands right behind the slice that it binds to, and no two threads share an id.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from harness.errors import SaveError
from harness.records import Outcome, Phase, RunRecords, ready
from harness.stats import timeline
from harness.stats.budget import blocked_spans

Event = dict[str, Any]
SLOWEST, PRODUCER, FIRST_STAGE = 1, 2, 3
"""Process ids; 0 means the idle task to Perfetto."""
SHORT = 1 << 18
"""Of a longer run only what was in flight meanwhile is read, and only workers that served then have a track."""
THREADS = 1000
"""Thread ids of process p begin at p * THREADS."""
METADATA, END, SLICE, BEGIN, INSTANT, COUNTER = range(6)
"""What comes first among events of one instant."""


def events(records: RunRecords, slowest: Sequence[int] = (), shown: timeline.Mask | None = None) -> list[Event]:
    """The events, ascending in time; metadata come first. Times are us, with the ns as decimals, from the first due.

    slowest: indices of the requests to mark, the slowest first. shown: which requests to trace, shape (n,); all unless
    given.
    """
    if shown is None:
        shown = np.ones(len(records), np.bool_)
    return _Trace(records, slowest, shown).events()


def write(path: Path, found: Sequence[Event], about: Mapping[str, Any]) -> None:
    """Write a trace file, gzipped when its name ends in .gz. Raises SaveError."""
    try:
        with _open(path) as file:
            encode = json.JSONEncoder(ensure_ascii=False).encode  # some importers do not read escapes
            file.write(f'{{"otherData": {encode(about)},\n"traceEvents": [\n')
            file.write(",\n".join(map(encode, found)))
            file.write("\n]}\n")
    except OSError as error:
        raise SaveError(f"cannot write the trace: {error.strerror}", where=str(path)) from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "wt", encoding="utf-8", errors="backslashreplace", compresslevel=5))
    return path.open("w", encoding="utf-8", errors="backslashreplace")


def _first_of_phases(records: RunRecords) -> dict[int, int]:
    """The first request of each phase; 0 where there is none."""
    found: dict[int, int] = {}
    first = 0
    for block in records.blocks(["phase"]):
        for phase, at in zip(*np.unique(block.column("phase"), return_index=True), strict=True):
            found.setdefault(int(phase), first + int(at))
        first += len(block)
    return found


class _Trace:
    def __init__(self, records: RunRecords, slowest: Sequence[int], shown: timeline.Mask) -> None:
        self._first = _first_of_phases(records)
        self._number = np.arange(len(records))  # of each request among all
        if len(records) > SHORT:
            needed = timeline.meanwhile(records, shown)
            self._number = np.flatnonzero(needed)
            chosen = records.select(needed)
            records, shown = RunRecords(records.layout, chosen.rows, chosen.failures), shown[needed]
            slowest = np.searchsorted(self._number, slowest).tolist()
        self._records = records
        self._stages = records.stages
        self._rank = {row: rank for rank, row in enumerate(slowest, 1)}
        self._shown = shown
        self._rows = np.flatnonzero(shown).tolist()
        self._phase = records.column("phase")
        self._passed = np.sum([stage.done > 0 for stage in self._stages], axis=0)  # stages that a request got through
        self._origin = self._earliest()
        self._found: list[tuple[tuple[int, ...], Event]] = []

    def events(self) -> list[Event]:
        self._slowest()
        self._producer()
        for stage in range(len(self._stages)):
            self._workers(stage)
            self._waiting(stage)
        self._found.sort(key=lambda pair: pair[0])
        return [event for _, event in self._found]

    def _earliest(self) -> int:
        """The first due time; of a batch of which only a part is shown, one member may have been taken before that."""
        first = self._records.due[self._shown].min(initial=np.iinfo(np.int64).max)
        taken = [stage.taken[members].min() for i, stage in enumerate(self._stages) for members in self._served(i)]
        return int(min([first, *taken]))

    # ------------------------------------------------------------------ tracks

    def _slowest(self) -> None:
        records = self._records
        if self._rank:
            self._name(SLOWEST, "slowest requests, from due to completed")
        blocked = blocked_spans(records)
        for row, rank in self._rank.items():
            tid, begin, end = SLOWEST * THREADS + rank, int(records.due[row]), int(records.completed[row])
            self._name(SLOWEST, f"{rank}. {self._called(row)}: {(end - begin) / 1e6:.3f} ms", tid)
            self._slice(SLOWEST, tid, self._called(row), begin, end, "slowest")
            for what, low, high in timeline.passage(records, row, blocked):
                self._slice(SLOWEST, tid, what, low, high, "component")

    def _producer(self) -> None:
        tid = PRODUCER * THREADS
        self._name(PRODUCER, "producer")
        self._name(PRODUCER, "producer", tid)
        due, first = self._records.due, self._stages[0]
        for row in self._rows:
            begin, end = int(first.offered[row]), int(first.accepted[row])
            self._interval(PRODUCER, "due, not yet issued", row, int(due[row]), begin)
            if self._records.outcome[row] == Outcome.DROPPED:
                self._instant(PRODUCER, tid, f"{self._called(row)} dropped", begin)
            elif end:
                self._slice(PRODUCER, tid, f"issue {self._called(row)}", begin, end, "issue")
                if self._passed[row]:
                    self._flow("s", PRODUCER, tid, row, begin, end)

    def _workers(self, stage: int) -> None:
        """What each worker did: waited for a slot, waited for a batch to fill, served, waited for slots behind it."""
        columns, pid = self._stages[stage], FIRST_STAGE + stage
        batches = columns.layout.batching
        following = self._stages[stage + 1] if stage + 1 < len(self._stages) else None
        self._name(pid, f"stage {stage + 1}: {columns.name}")
        for worker in range(int(columns.worker.max(initial=0)) + 1):
            self._name(pid, f"worker {worker}", pid * THREADS + worker + 1)
        for members in self._served(stage):
            row = members[0]
            tid = pid * THREADS + int(columns.worker[row]) + 1
            taken, started, done = int(columns.taken[members].min()), int(columns.started[row]), int(columns.done[row])
            accepted = 0 if following is None else int(following.accepted[members].max())
            if batches:
                self._slice(pid, tid, "batch wait", taken, started, "batch_wait", least=1)
            elif following is not None:
                self._slice(pid, tid, f"blocked by {following.name}", taken, min(accepted, started), "blocked", least=1)
            self._service(stage, members, tid, started, done)
            if batches and following is not None:
                self._slice(pid, tid, f"blocked by {following.name}", done, accepted, "blocked", least=1)

    def _service(self, stage: int, members: Sequence[int], tid: int, started: int, done: int) -> None:
        columns, pid, row = self._stages[stage], FIRST_STAGE + stage, members[0]
        marks = [f"slowest {self._rank[member]}" for member in members if member in self._rank]
        args: dict[str, Any] = {}
        name = self._called(row)
        if columns.layout.batching:
            name, args = f"batch of {len(members)}", {"requests": ", ".join(map(self._called, members))}
        args |= {f"{part} (ms)": int(times[row]) / 1e6 for part, times in columns.parts.items()}
        if marks:
            name = f"{name} ({', '.join(marks)})"
        self._slice(pid, tid, name, started, done, "service,slowest" if marks else "service", args=args)
        for member in members:
            if self._shown[member]:
                self._flow("f" if self._passed[member] == stage + 1 else "t", pid, tid, member, started, done)
            if (
                self._records.outcome[member] == Outcome.FAILED
                and self._records.column("failed_stage")[member] == stage
            ):
                reason = {"reason": self._records.failures.get(member, "")}
                self._instant(pid, tid, f"{self._called(member)} failed", done, reason)

    def _waiting(self, stage: int) -> None:
        """The requests that wait in front of a stage, and how many these are while anything is shown."""
        pid, columns, since = FIRST_STAGE + stage, self._stages[stage], ready(self._records, stage)
        for row in self._rows:
            self._interval(pid, f"waiting for {columns.name}", row, int(since[row]), int(columns.taken[row]))
        times, counts = timeline.depth(since, columns.taken)
        for begin, end in self._periods():
            first, last = (int(i) for i in np.searchsorted(times, [begin, end + 1]))
            self._counter(pid, begin, int(counts[first - 1]) if first else 0)
            for when, count in zip(times[first:last].tolist(), counts[first:last].tolist(), strict=True):
                self._counter(pid, when, count)

    # ------------------------------------------------------------------ what is shown

    def _served(self, stage: int) -> Iterator[list[int]]:
        """The requests of each batch of which any is shown; a request that was served alone is a batch of one."""
        columns = self._stages[stage]
        key = np.where(columns.done > 0, columns.worker * (columns.batch.max(initial=0) + 1) + columns.batch, -1)
        chosen = np.flatnonzero(np.isin(key, np.unique(key[self._shown])) & (key >= 0))
        chosen = chosen[np.argsort(key[chosen], kind="stable")]
        for members in np.split(chosen, np.flatnonzero(np.diff(key[chosen])) + 1):
            if len(members):
                yield members.tolist()

    def _periods(self) -> list[tuple[int, int]]:
        """The time during which anything shown was in flight, as intervals apart from one another."""
        found: list[tuple[int, int]] = []
        ended, due = timeline.ended(self._records), self._records.due
        for row in self._rows:
            begin, end = int(due[row]), int(ended[row])
            if found and begin <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((begin, end))
        return found

    def _called(self, row: int) -> str:
        """A request's number within its phase, from 0, as everywhere in the reports."""
        phase = int(self._phase[row])
        return f"{'request' if phase == Phase.MEASURED else 'warm-up'} {self._number[row] - self._first[phase]}"

    # ------------------------------------------------------------------ events

    def _add(self, when: int, rank: int, event: Event, length: int = 0) -> None:
        # At one instant a flow begins at the producer before it goes on, and inner slices come behind outer ones.
        order = when, rank, event["pid"], -length
        self._found.append((order, {**event, "ts": (when - self._origin) / 1000}))

    def _slice(
        self, pid: int, tid: int, name: str, begin: int, end: int, category: str,
        *, least: int = 0, args: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """A complete event, unless it is shorter than `least` ns."""
        if end - begin < least:
            return
        event: Event = {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "dur": (end - begin) / 1000}
        self._add(begin, SLICE, {**event, "args": args} if args else event, end - begin)

    def _flow(self, phase: str, pid: int, tid: int, row: int, begin: int, end: int) -> None:
        """A step of a request's flow, bound to the slice from begin to end that was added just before."""
        event = {
            "ph": phase,
            "cat": "request",
            "name": "request",
            "id": int(self._number[row]) + 1,
            "pid": pid,
            "tid": tid,
        }
        self._add(begin, SLICE, {**event, "bp": "e"} if phase == "f" else event, end - begin)

    def _interval(self, pid: int, name: str, row: int, begin: int, end: int) -> None:
        """An asynchronous event: many of one name may overlap and are drawn as one track."""
        if begin <= 0 or end <= begin:
            return
        event = {
            "cat": "wait",
            "name": name,
            "pid": pid,
            "tid": pid * THREADS,
            "id2": {"local": f"{int(self._number[row]) + 1:#x}"},
        }
        self._add(begin, BEGIN, {"ph": "b", **event, "args": {"request": self._called(row)}})
        self._add(end, END, {"ph": "e", **event})

    def _instant(self, pid: int, tid: int, name: str, when: int, args: Mapping[str, Any] | None = None) -> None:
        self._add(when, INSTANT, {"ph": "i", "s": "t", "name": name, "pid": pid, "tid": tid, "args": args or {}})

    def _counter(self, pid: int, when: int, waiting: int) -> None:
        event = {"ph": "C", "name": "queue depth", "pid": pid, "tid": pid * THREADS, "args": {"requests": waiting}}
        self._add(when, COUNTER, event)

    def _name(self, pid: int, name: str, tid: int | None = None) -> None:
        what, whose = ("process", {"pid": pid}) if tid is None else ("thread", {"pid": pid, "tid": tid})
        order = pid if tid is None else tid
        for kind, args in ((f"{what}_name", {"name": name}), (f"{what}_sort_index", {"sort_index": order})):
            event: Event = {"ph": "M", "name": kind, **whose, "args": args, "ts": 0}
            self._found.append(((-1, METADATA), event))
