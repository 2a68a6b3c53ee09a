"""The model of `model`, compiled: the same stamps to the nanosecond, a hundred times faster.

Where nobody can overtake (one worker a stage, an open load) it is a recursion over the requests (`recursion`),
elsewhere a simulation of events (`events`). Here are the tables that they work in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from harness.records import OUTCOME, Ints, Outcome, RunRecords
from harness.twin import events, recursion
from harness.twin.pipeline import Demand, Pipeline, as_records, blank_rows


def simulate(pipeline: Pipeline, demand: Demand) -> RunRecords:
    """Run a pipeline under a demand; the records of every request that was issued."""
    rows = blank_rows(pipeline, demand)
    fill(pipeline, demand, rows)
    return as_records(pipeline, demand, rows)


def fill(pipeline: Pipeline, demand: Demand, rows: Ints) -> None:
    """Run in rows that `blank_rows` made; memory that is used again and again costs no page faults."""
    if len(rows) == 0:
        return
    if demand.due_ns is not None and all(s.workers == 1 for s in pipeline.stations):
        by_recursion(pipeline, demand, rows)
    else:
        by_events(pipeline, demand, rows)


def by_recursion(pipeline: Pipeline, demand: Demand, rows: Ints) -> None:
    """Fill rows by the recursion; only for one worker a stage and due times."""
    following = _Recursion(pipeline)
    following.go_on(demand, rows)
    following.finish()


def in_pieces(pipeline: Pipeline, demands: Iterable[Demand]) -> Iterator[Ints]:
    """The rows of a run in pieces, as `simulate` has them: of more requests than there is memory for.

    demands: of successive requests, whose due times go on from one to the next. Only for one worker a stage and due
    times, where nobody overtakes: a request is complete as soon as those before it are.
    """
    following = _Recursion(pipeline)
    held = np.empty((0, pipeline.layout.width), np.int64)
    for demand in demands:
        rows = np.concatenate([held, blank_rows(pipeline, demand)])
        following.go_on(demand, rows, len(held))
        pending = rows[:, OUTCOME] == Outcome.PENDING
        complete = int(np.argmax(pending)) if pending.any() else len(rows)
        following.forget(complete)
        held = rows[complete:]
        yield rows[:complete]
    following.finish()
    yield held


class _Recursion:
    """The recursion, for rows that may come in pieces."""

    def __init__(self, pipeline: Pipeline) -> None:
        stations, stages = pipeline.stations, len(pipeline.stations)
        self._shed = pipeline.shed
        self._table = np.zeros((stages, recursion.OFFSET + 1), np.int64)
        for i, s in enumerate(stations):
            self._table[i, : recursion.COLUMN] = s.capacity, s.batch_max, s.batch_timeout_ns, s.hop_ns, s.turnaround_ns
        self._state = np.zeros((stages, recursion.PRODUCER_FREE_AT + 1), np.int64)
        self._members = np.zeros((stages, max(s.batch_max for s in stations)), np.int64)
        self._left = np.zeros((stages, _power_of_two(max(s.capacity for s in stations))), np.int64)
        self._stack = np.zeros(stages + 1, np.int64)
        self._service = self._rows = np.empty((0, 0), np.int64)

    def go_on(self, demand: Demand, rows: Ints, first: int = 0) -> None:
        """Fill in the rows of a demand, whose due times are there; before them lie `first` that are not complete."""
        service, columns, sizes = _service(demand)
        self._service = np.concatenate([self._service[len(self._service) - first :], service]) if first else service
        self._rows = rows
        self._table[:, recursion.COLUMN], self._table[:, recursion.SIZES] = columns, sizes
        self._table[:, recursion.SHARES] = demand.shares
        recursion.run(*self._tables, first, self._shed)

    def forget(self, complete: int) -> None:
        """So many rows will not come again: the next one is the first from here on."""
        self._table[:, recursion.OFFSET] += complete
        self._members -= complete
        later = self._state[:, recursion.LATER]
        later[later > 0] -= complete
        self._rows, self._service = self._rows[complete:], self._service[complete:]

    def finish(self) -> None:
        """No request comes behind the last ones: complete those."""
        recursion.finish(*self._tables)

    @property
    def _tables(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints]:
        return self._table, self._state, self._members, self._left, self._stack, self._service, self._rows


def by_events(pipeline: Pipeline, demand: Demand, rows: Ints) -> None:
    """Fill rows by simulating events; for every pipeline and demand."""
    stations = pipeline.stations
    stages, workers = len(stations), sum(s.workers for s in stations)
    stage_of = np.repeat(np.arange(stages), [s.workers for s in stations])
    last_first = np.lexsort((np.arange(workers), -stage_of))
    batching = np.array([w for w in last_first if stations[stage_of[w]].batch_max > 1], np.int64)
    due = workers + stages

    whose = np.concatenate([last_first, np.arange(stages)[::-1], [workers], batching])
    steps = np.stack([np.full(len(whose), events.NEVER), whose])

    service, columns, sizes = _service(demand)
    table = np.empty((stages, events.SHARES + 1), np.int64)
    for i, s in enumerate(stations):
        costs = s.batch_timeout_ns, s.hop_ns, s.turnaround_ns
        table[i] = s.capacity, s.batch_max, *costs, due - 1 - i, columns[i], sizes[i], demand.shares
    processes = np.zeros((workers + 1, events.HELD + max(s.batch_max for s in stations)), np.int64)
    processes[:workers, events.WAITS_FOR] = events.IDLE
    processes[:workers, events.STAGE] = stage_of
    processes[:workers, events.NUMBER] = np.concatenate([np.arange(s.workers) for s in stations])
    processes[last_first, events.END] = np.arange(workers)
    processes[batching, events.LIMIT] = due + 1 + np.arange(len(batching))
    processes[workers, events.WAITS_FOR] = events.TO_BE_DUE
    processes[workers, events.CONCURRENCY] = demand.concurrency
    processes[workers, events.STOP] = demand.stop_ns
    processes[workers, events.SHED] = pipeline.shed

    longest = max(workers + 1, demand.concurrency, *(s.capacity for s in stations))
    queues = np.zeros((events.KINDS * stages + 2, events.ITEMS + _power_of_two(longest)), np.int64)
    events.run(steps, table, processes, queues, service, rows)


def _service(demand: Demand) -> tuple[Ints, list[int], list[int]]:
    """Service times of all stages side by side, where those of each begin, and how many sizes of batches it has."""
    sizes = [times.shape[1] for times in demand.service_ns]
    columns = [sum(sizes[:i]) for i in range(len(sizes))]
    together = demand.service_ns[0] if len(sizes) == 1 else np.concatenate(demand.service_ns, axis=1)
    return np.ascontiguousarray(together), columns, sizes


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
