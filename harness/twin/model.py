"""The pipeline as simpy processes: how it behaves, to be read. `compiled` does the same, faster.

A producer offers requests when they are due. Each stage has a channel in front of it, with as many slots as its
capacity, and workers behind that. A request holds a slot of a channel from before it is sent there until its service
has ended, so a full channel holds up whoever would send to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from enum import IntEnum
from functools import partial

import simpy
from simpy.events import Event, EventPriority

from harness.records import (
    ACCEPTED,
    BATCH,
    DONE,
    DUE,
    OFFERED,
    OUTCOME,
    PARTS,
    STARTED,
    TAKEN,
    WORKER,
    Ints,
    Outcome,
    RunRecords,
)
from harness.twin.pipeline import START_NS, Demand, Pipeline, Station, as_records, blank_rows

Process = Generator[Event, int | None, None]
Taking = Generator[Event, int | None, int | None]


class Rank(IntEnum):
    """The order of the clock's steps at one instant. simpy's own priorities, 0 and 1, are for those that are woken."""

    END_OF_SERVICE = 2
    ARRIVAL = 3
    DUE = 4
    TIMEOUT = 5


class Clock(simpy.Environment):
    """Simulated time in ns, with an order for what happens at the same instant."""

    def __init__(self, stages: int) -> None:
        super().__init__(initial_time=0)
        self._stages = stages

    @property
    def now(self) -> int:
        """The time in ns: whole, since nothing else is ever scheduled."""
        return int(self._now)

    def at(self, at_ns: int, rank: Rank, stage: int = 0, worker: int = 0) -> Event:
        """An event at a time; what comes first of several at the same time, `pipeline` says."""
        event = Event(self)
        event._ok, event._value = True, None
        order = (rank * self._stages + self._stages - 1 - stage) * 1000 + worker
        self.schedule(event, EventPriority(order), at_ns - self.now)
        return event


class Channel:
    """Slots, the requests that lie ready in them, and who waits: upstream for a slot, downstream for a request.

    Everybody is served in the order of asking.
    """

    def __init__(self, clock: Clock, stage: int, station: Station) -> None:
        self._clock = clock
        self._stage = stage
        self._hop_ns = station.hop_ns
        self.free = station.capacity
        self._ready: deque[int] = deque()
        self._for_slot: deque[Event] = deque()
        self._for_request: deque[Event] = deque()

    def acquire(self) -> Process:
        """Get a free slot; wait for one."""
        if self.free:
            self.free -= 1
            return
        turn = self._clock.event()
        self._for_slot.append(turn)
        yield turn

    def release(self) -> None:
        """Give a slot back, to whoever has waited longest for one."""
        if self._for_slot:
            self._for_slot.popleft().succeed()
        else:
            self.free += 1

    def send(self, row: int) -> None:
        """Put a request into the slot that was acquired for it; a hop later it lies ready."""
        if self._hop_ns:
            arrival = self._clock.at(self._clock.now + self._hop_ns, Rank.ARRIVAL, self._stage)
            arrival.callbacks.append(lambda _: self._arrive(row))
        else:
            self._arrive(row)

    def _arrive(self, row: int) -> None:
        if self._for_request:
            self._for_request.popleft().succeed(row)
        else:
            self._ready.append(row)

    def take(self, timeout: Event | None = None) -> Taking:
        """The next request; wait for one. None when `timeout` comes first."""
        if self._ready:
            return self._ready.popleft()
        turn = self._clock.event()
        self._for_request.append(turn)
        if timeout is not None:
            timeout.callbacks.append(partial(self._give_up, turn))
        return (yield turn)

    def _give_up(self, turn: Event, _: Event) -> None:
        if not turn.triggered:
            self._for_request.remove(turn)
            turn.succeed(None)


class Model:
    """One run. Stamps go into `rows`."""

    def __init__(self, pipeline: Pipeline, demand: Demand) -> None:
        self._pipeline = pipeline
        self._demand = demand
        self._shed = pipeline.shed
        self._service = [s.tolist() for s in demand.service_ns]
        self._base = [pipeline.layout.base(i) for i in range(len(pipeline.stations))]
        self.rows: list[list[int]] = blank_rows(pipeline, demand).tolist()
        self._clock = Clock(len(pipeline.stations))
        self._channels = [Channel(self._clock, i, s) for i, s in enumerate(pipeline.stations)]
        self._ended: deque[int] = deque()
        self._wait_for_end: Event | None = None
        for stage, station in enumerate(pipeline.stations):
            serve = self._serve_singly if station.batch_max == 1 else self._serve_batches
            for worker in range(station.workers):
                self._clock.process(serve(stage, worker))
        self._clock.process(self._produce())

    def run(self) -> None:
        """Until nothing is left to happen."""
        self._clock.run()

    def _produce(self) -> Process:
        """Offer each request when it is due, one after the other, whatever the pipeline does."""
        clock, channel, offered = self._clock, self._channels[0], self._base[0] + OFFERED
        for number, row in enumerate(self.rows):
            if self._demand.due_ns is None:
                row[DUE] = yield from self._due_in_closed_load(number)
                if self._demand.stop_ns and row[DUE] > self._demand.stop_ns:
                    return
            if row[DUE] > clock.now:
                yield clock.at(row[DUE], Rank.DUE)
            row[offered] = clock.now
            if self._shed and not channel.free:
                row[OUTCOME] = Outcome.DROPPED
                continue
            yield from channel.acquire()
            row[offered + ACCEPTED] = clock.now
            channel.send(number)

    def _due_in_closed_load(self, number: int) -> Generator[Event, None, int]:
        """When one ends the next is due; as many as may be in flight are due at the start."""
        if number < self._demand.concurrency:
            return START_NS
        if not self._ended:
            self._wait_for_end = self._clock.event()
            yield self._wait_for_end
        return self._ended.popleft()

    def _serve_singly(self, stage: int, worker: int) -> Process:
        """Blocking before service: the slot of the next stage is taken first, and the result written into it."""
        clock, channel = self._clock, self._channels[stage]
        following = self._channels[stage + 1] if stage + 1 < len(self._channels) else None
        base, after = self._base[stage], self._base[stage] + PARTS
        while True:
            number = yield from channel.take()
            assert number is not None
            row = self.rows[number]
            row[base + TAKEN], row[base + WORKER], row[base + BATCH] = clock.now, worker, number
            if following is not None:
                row[after + OFFERED] = clock.now
                yield from following.acquire()
                row[after + ACCEPTED] = clock.now
            row[base + STARTED] = clock.now
            yield clock.at(clock.now + self._service[stage][number][0], Rank.END_OF_SERVICE, stage, worker)
            row[base + DONE] = clock.now
            if following is not None:
                following.send(number)
            else:
                self._complete(row)
            channel.release()
            yield from self._turn_around(stage, worker)

    def _serve_batches(self, stage: int, worker: int) -> Process:
        """Blocking after service: the results of a batch are handed on one by one, as slots come free."""
        clock, channel, station = self._clock, self._channels[stage], self._pipeline.stations[stage]
        following = self._channels[stage + 1] if stage + 1 < len(self._channels) else None
        service = self._service[stage]
        base, after = self._base[stage], self._base[stage] + PARTS
        while True:
            batch = yield from self._collect(stage, worker, channel, station)
            for number in batch:
                row = self.rows[number]
                row[base + STARTED], row[base + WORKER], row[base + BATCH] = clock.now, worker, batch[0]
            column = min(len(batch), len(service[0])) - 1
            takes = sum(service[number][column] for number in (batch if self._demand.shares else batch[:1]))
            yield clock.at(clock.now + takes, Rank.END_OF_SERVICE, stage, worker)
            done = clock.now
            for number in batch:
                self.rows[number][base + DONE] = done
                channel.release()
            for number in batch:
                row = self.rows[number]
                if following is None:
                    self._complete(row)
                    continue
                row[after + OFFERED] = done
                yield from following.acquire()
                row[after + ACCEPTED] = clock.now
                following.send(number)
            yield from self._turn_around(stage, worker)

    def _collect(
        self, stage: int, worker: int, channel: Channel, station: Station
    ) -> Generator[Event, int | None, list[int]]:
        """Take a request, then others, until the batch is full or the first has waited as long as it may."""
        taken = self._base[stage] + TAKEN
        first = yield from channel.take()
        assert first is not None
        self.rows[first][taken] = self._clock.now
        batch = [first]
        timeout = self._clock.at(self._clock.now + station.batch_timeout_ns, Rank.TIMEOUT, stage, worker)
        while len(batch) < station.batch_max and (number := (yield from channel.take(timeout))) is not None:
            self.rows[number][taken] = self._clock.now
            batch.append(number)
        return batch

    def _turn_around(self, stage: int, worker: int) -> Process:
        """What a worker does between two requests besides serving them."""
        takes = self._pipeline.stations[stage].turnaround_ns
        if takes:
            yield self._clock.at(self._clock.now + takes, Rank.END_OF_SERVICE, stage, worker)

    def _complete(self, row: list[int]) -> None:
        row[OUTCOME] = Outcome.COMPLETED
        if self._demand.due_ns is None:
            self._ended.append(self._clock.now)
            if self._wait_for_end is not None:
                self._wait_for_end.succeed()
                self._wait_for_end = None


def simulate(pipeline: Pipeline, demand: Demand) -> RunRecords:
    """Run a pipeline under a demand; the records of every request that was issued."""
    import numpy as np

    model = Model(pipeline, demand)
    model.run()
    rows: Ints = np.array(model.rows, np.int64).reshape(len(demand), pipeline.layout.width)
    return as_records(pipeline, demand, rows)
