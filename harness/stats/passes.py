"""The figures of a run, from its records in blocks: a few passes, and memory that hardly grows with the requests.

1. every column: counts, sums, and all components of the latency into fine bins;
2. due, issued and completed, several times: exact quantiles of the latencies, their dependence, the backlog;
3. every column again: the other exact quantiles, how busy the workers were, where the time of the slowest went.

Of a run of at most KEPT requests the first pass keeps what it saw. For each request of a longer one there are 2 bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.records import Ints, Outcome, Phase, RunRecords
from harness.stats.attribution import Attribution, Band, Edge
from harness.stats.budget import PRODUCER, RESIDUAL, STAGE_COMPONENTS, Budget, measured_and_completed, splits
from harness.stats.checks import disordered
from harness.stats.quantiles import ranks, summary_of
from harness.stats.ranks import KEPT, OrderStatistics, over_again
from harness.stats.steady import ArrivalWindow
from harness.summary import SteadyState

E2E, RESPONSE, LATENESS = "e2e", "response", "lateness"
TAIL = 0.99
SPREAD = 1 << 18
"""Requests that were served in one batch lie at most so many rows apart; else it would be counted more than once."""
Figures = dict[str, float | None]
Split = tuple[RunRecords, RunRecords, Budget]


@dataclass(frozen=True)
class StageFigures:
    """One stage. components, parts: by name, ms as `quantiles.summarise` has them. busy_ns: of all its workers, within
    the arrival window. batches: how many there were, and the requests of the largest. None where none completed.
    """

    components: Mapping[str, Figures]
    parts: Mapping[str, Figures]
    mean_service_ns: float | None
    busy_ns: int
    batches: int
    largest_batch: int


@dataclass(frozen=True)
class RunFigures:
    """Of the measured requests, unless said otherwise. Latencies in ms, as `quantiles.summarise` has them.

    issued: by phase, of all requests. outcomes: by value of Outcome. stamped, disordered: of how many completed
    requests of any phase the stamps were looked at, and how many of these are not in order. with_lost: e2e, where those
    that did not complete are infinitely late. window_ns: first to last due time of the completed ones.
    """

    issued: Mapping[int, int]
    outcomes: Mapping[int, int]
    failures: Mapping[str, int]
    stamped: int
    disordered: int
    completed: int
    throughput_rps: float | None
    offered_rps: float | None
    window_ns: int
    e2e: Figures
    with_lost: Figures
    response: Figures
    lateness: Figures
    own_lateness: Figures
    residual: Figures
    stages: Mapping[str, StageFigures]
    state: SteadyState | None
    tail: Attribution | None
    latencies: Latencies
    responses: Latencies


def figures_of(records: RunRecords) -> RunFigures:
    """All figures of a run. records: every request that was issued."""
    passes = _Passes(records)
    passes.count()
    passes.follow_latencies()
    passes.look_again()
    return passes.figures()


class Latencies:
    """The latencies of the requests that were measured and completed, in the order of issue, ns; read when needed.

    since: the column that they count from, `due` or that of the producer's offer. Its exact order statistics come from
    `order`, to which all of them were added.
    """

    def __init__(self, records: RunRecords, since: str, order: OrderStatistics) -> None:
        self._records = records
        self._since = since
        self._order = order
        self._done = f"{records.layout.names[-1]}.done"

    @classmethod
    def of(cls, records: RunRecords) -> Latencies:
        """The e2e latencies of a run, which is read once for that."""
        order = OrderStatistics()
        found = cls(records, "due", order)
        for values in found.blocks():
            order.add(values)
        return found

    def __len__(self) -> int:
        return self._order.count

    def blocks(self) -> Iterator[Ints]:
        """All of them."""
        for block in self._records.blocks(["phase", "outcome", self._done, self._since]):
            counted = measured_and_completed(block)
            yield (block.column(self._done) - block.column(self._since))[counted]

    def ranked(self, wanted: Collection[int]) -> dict[int, int]:
        """Order statistics by rank, from 1."""
        return self._order.find(wanted, self.blocks)


class _Passes:
    def __init__(self, records: RunRecords) -> None:
        self._records = records
        self._kept: list[Split] | None = list(splits(records)) if len(records) <= KEPT else None
        self._issued, self._outcomes = np.zeros(3, np.int64), np.zeros(5, np.int64)
        self._failures: dict[str, int] = {}
        self._stamped = self._disordered = 0
        self._due, self._completed, self._measured_due = _Ends(), _Ends(), _Ends()
        self._order: dict[str, OrderStatistics] = {name: OrderStatistics() for name in _names(records)}
        self._latencies = Latencies(records, "due", self._order[E2E])
        self._responses = Latencies(records, f"{records.layout.names[0]}.offered", self._order[RESPONSE])
        self._sizes = {name: _Batches() for name in records.layout.batching}
        self._served = {name: _Batches() for name in records.layout.batching}
        self._busy = dict.fromkeys(records.layout.names, 0)
        self._state: SteadyState | None = None
        self._tail: Attribution | None = None

    def _splits(self) -> Iterator[Split]:
        return iter(self._kept) if self._kept is not None else splits(self._records)

    @property
    def _lost(self) -> int:
        return int(self._outcomes.sum()) - self._order[E2E].count

    # ------------------------------------------------------------------ first

    def count(self) -> None:
        for block, done, split in self._splits():
            self._count(block)
            completed = block.with_outcome(Outcome.COMPLETED) if len(done) < len(block) else done
            self._stamped += len(completed)
            self._disordered += disordered(completed)
            self._due.add(done.due)
            self._completed.add(done.completed)
            for name, sizes in self._sizes.items():
                sizes.add(done.stage(name).batch)
            for name, values in _values(done, split):
                self._order[name].add(values)

    def _count(self, block: RunRecords) -> None:
        phase, outcome = block.column("phase"), block.outcome
        measured = phase == Phase.MEASURED
        self._issued += np.bincount(phase, minlength=len(self._issued))
        self._outcomes += np.bincount(outcome[measured], minlength=len(self._outcomes))
        self._measured_due.add(block.due[measured])
        for row, reason in block.failures.items():
            if measured[row]:
                self._failures[reason] = self._failures.get(reason, 0) + 1

    # ------------------------------------------------------------------ then

    def follow_latencies(self) -> None:
        """What needs the number of requests, the arrival window, or the latencies in their order."""
        count = self._order[E2E].count
        self._latencies.ranked(ranks(count) | {k for k in ranks(count + self._lost) if k <= count})
        if count >= 2 and self._due.span:
            window = ArrivalWindow(self._due.first, self._due.last, count)
            for block in self._records.blocks(["phase", "outcome", "due", f"{self._records.layout.names[-1]}.done"]):
                counted = measured_and_completed(block)
                window.add(block.due[counted], block.completed[counted])
            self._state = window.judge()

    # ------------------------------------------------------------------ at last

    def look_again(self) -> None:
        count = self._order[E2E].count
        for order in self._order.values():
            order.seek(ranks(count))
        band = Band.of(count, self._latencies.ranked, Edge(level=TAIL)) if count else None
        for block, done, split in self._splits():
            for name in self._busy:
                self._busy[name] += self._busy_ns(block, name)
            if band is not None:
                band.add(split)
            for name, values in _values(done, split):
                self._order[name].over(values)
        self._tail = band.attribution(lambda: (split for _, _, split in self._splits())) if band is not None else None
        while over_again(self._order.values()):
            for _, done, split in self._splits():
                for name, values in _values(done, split):
                    self._order[name].over(values)

    def _busy_ns(self, block: RunRecords, name: str) -> int:
        """How long the workers of a stage served within the arrival window; a batch counts where it is met first."""
        stage = block.stage(name)
        served = np.flatnonzero(stage.done)
        if name in self._served:
            served = served[self._served[name].add(stage.batch[served])]
        begun, ended = stage.started[served], stage.done[served]
        inside = np.minimum(ended, self._due.last) - np.maximum(begun, self._due.first)
        return int(np.maximum(0, inside).sum())

    # ------------------------------------------------------------------

    def figures(self) -> RunFigures:
        figures = {name: summary_of(order) for name, order in self._order.items()}
        completed = self._order[E2E].count
        span_ns = self._completed.last - self._due.first if completed else 0
        issued = int(self._outcomes.sum())
        return RunFigures(
            issued={phase: int(count) for phase, count in enumerate(self._issued)},
            outcomes={outcome: int(count) for outcome, count in enumerate(self._outcomes)},
            failures=self._failures,
            stamped=self._stamped,
            disordered=self._disordered,
            completed=completed,
            throughput_rps=completed / (span_ns / 1e9) if span_ns else None,
            offered_rps=(issued - 1) / (self._measured_due.span / 1e9) if self._measured_due.span else None,
            window_ns=self._due.span,
            e2e=figures[E2E],
            with_lost=summary_of(self._order[E2E], self._lost),
            response=figures[RESPONSE],
            lateness=figures[LATENESS],
            own_lateness=figures[PRODUCER],
            residual=figures[RESIDUAL],
            stages={name: self._stage(name, figures) for name in self._records.layout.names},
            state=self._state,
            tail=self._tail,
            latencies=self._latencies,
            responses=self._responses,
        )

    def _stage(self, name: str, figures: Mapping[str, Figures]) -> StageFigures:
        completed = self._order[E2E].count
        sizes = self._sizes.get(name)
        return StageFigures(
            components={component: figures[f"{name}.{component}"] for component in STAGE_COMPONENTS},
            parts={part: figures[f"{name}.part_{part}"] for part in self._records.layout.stage(name).parts},
            mean_service_ns=self._order[f"{name}.service"].mean,
            busy_ns=self._busy[name],
            batches=completed if sizes is None else sizes.count,
            largest_batch=min(completed, 1) if sizes is None else sizes.largest,
        )


def _names(records: RunRecords) -> list[str]:
    """Of all that has quantiles: the latencies, and every component and part as `_values` calls them."""
    stages = [
        f"{stage.name}.{name}"
        for stage in records.layout.stages
        for name in (*STAGE_COMPONENTS, *(f"part_{part}" for part in stage.parts))
    ]
    return [E2E, RESPONSE, LATENESS, PRODUCER, RESIDUAL, *stages]


def _values(done: RunRecords, split: Budget) -> Iterator[tuple[str, Ints]]:
    """All of them, ns, of completed requests."""
    yield E2E, split.e2e
    yield RESPONSE, done.completed - done.issued
    yield LATENESS, done.issued - done.due
    yield from split.components.items()
    for stage in done.stages:
        for part, values in stage.parts.items():
            yield f"{stage.name}.part_{part}", values


class _Ends:
    """The first and the last of some times, ns; 0 of none."""

    def __init__(self) -> None:
        self.first = self.last = 0
        self._any = False

    def add(self, times: Ints) -> None:
        if len(times):
            first, last = int(times.min()), int(times.max())
            self.first = min(self.first, first) if self._any else first
            self.last = max(self.last, last) if self._any else last
            self._any = True

    @property
    def span(self) -> int:
        return self.last - self.first


class _Batches:
    """The batches of a stage, block by block: how many there are, and the requests of the largest."""

    def __init__(self) -> None:
        self.count = self.largest = 0
        self._names, self._sizes = np.empty(0, np.int64), np.empty(0, np.int64)  # of those that may go on, ascending

    def add(self, batch: Ints) -> Ints:
        """The next requests; the indices of those that are the first of a batch. batch: as the records have it."""
        if not len(batch):
            return np.empty(0, np.int64)
        names, first, sizes = np.unique(batch, return_index=True, return_counts=True)
        at = np.searchsorted(self._names, names)
        known = at < len(self._names)
        known[known] = self._names[at[known]] == names[known]
        self._sizes[at[known]] += sizes[known]
        self.count += int(np.count_nonzero(~known))
        open_names, open_sizes = (
            np.concatenate(pair) for pair in ((self._names, names[~known]), (self._sizes, sizes[~known]))
        )
        self.largest = max(self.largest, int(open_sizes.max()))
        recent = open_names > int(names[-1]) - SPREAD
        order = np.argsort(open_names[recent], kind="stable")
        self._names, self._sizes = open_names[recent][order], open_sizes[recent][order]
        found: Ints = first[~known]
        return found
