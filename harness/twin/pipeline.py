"""What the two models of a pipeline take, and the rows that they fill.

They agree on every stamp because they share one rule for what happens at the same instant:

1. A process that was woken (a slot came free for it, a request was handed to it, a request ended that it waited for)
   goes on at once. Several go on in the order in which they were woken.
2. When none is left, the clock's own steps come one at a time, each followed by all that it wakes: ends of service
   (and of turnarounds), then arrivals after a hop, then the producer's due times, then batch timeouts. Among several
   of a kind the last stage comes first, and in a stage the worker with the lower number.

So slots are given back before others ask for one, and a batch takes in whatever becomes ready at the very instant
of its timeout. A service takes at least 1 ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.plan import Plan
from harness.records import OFFERED, Ints, Layout, Outcome, Phase, RunRecords

START_NS = 1_000_000_000
"""The clock of a closed load begins here. Later than 0, which means never in the records."""


@dataclass(frozen=True)
class Station:
    """A stage and the channel in front of it.

    hop_ns: from when a request is sent to it until it lies ready there. turnaround_ns: from when a worker has handed
    on its results until it turns to its channel again.
    """

    name: str
    workers: int = 1
    capacity: int = 16
    batch_max: int = 1
    batch_timeout_ns: int = 0
    hop_ns: int = 0
    turnaround_ns: int = 0

    def __post_init__(self) -> None:
        if self.workers < 1 or not 1 <= self.batch_max <= self.capacity:
            raise ValueError(f"a station needs a worker, and slots for its largest batch: {self}")
        if min(self.batch_timeout_ns, self.hop_ns, self.turnaround_ns) < 0:
            raise ValueError(f"timeouts, hops and turnarounds take at least 0 ns: {self}")


@dataclass(frozen=True)
class Pipeline:
    """Stations in order. shed: drop a request that finds the first channel full, instead of waiting for a slot."""

    stations: tuple[Station, ...]
    shed: bool = False

    @property
    def layout(self) -> Layout:
        """What a row of the records holds; the model knows no parts of a service."""
        names = [station.name for station in self.stations]
        return Layout.tandem(names, batching=[s.name for s in self.stations if s.batch_max > 1])


@dataclass(frozen=True)
class Demand:
    """What is asked of a pipeline: when requests are due and how long each would take.

    service_ns: an array of shape (n, m) for each stage, int64. A batch of `size` whose first request is `row` takes
    service_ns[row, min(size, m) - 1]; a request that is served singly takes service_ns[row, 0]. With `shares` that is
    what each request adds: a batch takes the sum over its requests.
    due_ns: shape (n,), int64, ascending, each at least 1. None for a closed load of `concurrency` requests: the first
    of these are due at START_NS, each further one when a request ends; none that would be due after stop_ns is issued
    (0: no such end). warmup: how many of the first rows are kept apart.
    """

    service_ns: tuple[Ints, ...]
    due_ns: Ints | None = None
    concurrency: int = 0
    stop_ns: int = 0
    warmup: int = 0
    shares: bool = False

    def __post_init__(self) -> None:
        if (self.due_ns is None) == (self.concurrency == 0):
            raise ValueError("a demand has either due times or a concurrency")
        lengths = {len(s) for s in self.service_ns} | ({len(self.due_ns)} if self.due_ns is not None else set())
        if len(lengths) != 1 or any(s.ndim != 2 or s.dtype != np.int64 for s in self.service_ns):
            raise ValueError("service times are int64 of shape (n, m) for each stage, with one n for all")
        if any(s.size and s.min() < 1 for s in self.service_ns):
            raise ValueError("a service takes at least 1 ns")
        if self.due_ns is not None and len(self.due_ns) and self.due_ns[0] < 1:
            raise ValueError("due times begin at 1 ns: 0 means never in the records")

    def __len__(self) -> int:
        return len(self.service_ns[0])


@dataclass(frozen=True)
class Overhead:
    """What the pipeline costs around a stage, see `Station`. overrun_ns: how long a batch waits beyond its timeout."""

    hop_ns: int = 0
    turnaround_ns: int = 0
    overrun_ns: int = 0


def of_plan(plan: Plan, overheads: Mapping[str, Overhead] | None = None) -> Pipeline:
    """The stations of a Plan. overheads: by name of the stage, where they are known."""
    stations = []
    for s in plan.stages:
        cost = (overheads or {}).get(s.name, Overhead())
        timeout = s.batch_timeout_ns + (cost.overrun_ns if s.batch_max > 1 else 0)
        stations.append(Station(s.name, s.workers, s.capacity, s.batch_max, timeout, cost.hop_ns, cost.turnaround_ns))
    return Pipeline(tuple(stations), shed=plan.scenario.on_full == "shed")


def blank_rows(pipeline: Pipeline, demand: Demand) -> Ints:
    """Records before anything has happened, shape (n, width): the phase, and the due times of an open load."""
    layout = pipeline.layout
    if len(demand.service_ns) != len(pipeline.stations):
        raise ValueError(f"service times of {len(demand.service_ns)} stages for {len(pipeline.stations)} stations")
    rows = np.zeros((len(demand), layout.width), np.int64)
    rows[: demand.warmup, layout.columns["phase"]] = Phase.WARMUP
    if demand.due_ns is not None:
        rows[:, layout.columns["due"]] = demand.due_ns
    return rows


def as_records(pipeline: Pipeline, demand: Demand, rows: Ints) -> RunRecords:
    """The requests that were issued. One that never ended (which no model should leave behind) is aborted."""
    layout = replace(pipeline.layout, load="open" if demand.concurrency == 0 else "closed")
    outcome = layout.columns["outcome"]
    were_issued = rows[:, layout.base(0) + OFFERED] > 0
    issued = rows if were_issued.all() else rows[were_issued]
    issued[issued[:, outcome] == Outcome.PENDING, outcome] = Outcome.ABORTED
    return RunRecords(layout, issued, {})
