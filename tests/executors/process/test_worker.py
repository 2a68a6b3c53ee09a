"""A worker's own loop between two channels, without a pipeline around it: what it returns, exactly."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from harness.executors.process.channel import Channel, End, Receiver, Sender
from harness.executors.process.worker import Instructions, Worker
from harness.executors.ring import Ring
from harness.memory import allocate
from harness.plan import Plan
from tests.pipelines import plan

WITHIN_S = 5.0


def own(end: End) -> End:
    """The same side under descriptors of its own, as a child has them."""
    read, write, back = (os.dup(fd) if fd >= 0 else -1 for fd in (end.read_fd, end.write_fd, end.return_fd))
    return replace(end, read_fd=read, write_fd=write, return_fd=back)


class Between:
    """A worker of the first of two stages, in a thread; this side sends to it and takes what it hands on."""

    def __init__(self, resolved: Plan) -> None:
        first, second = resolved.stages
        self._channels = [
            Channel("in", first.capacity, first.output, 1, 1),
            Channel("out", second.capacity, first.output, 1, 1),
        ]
        into, out = self._channels
        records = 8 * Ring.values_of(resolved.layout, resolved.ring_rows)
        told = Instructions(
            name="s0-0",
            events_fd=-1,
            records_fd=allocate(records, "records"),
            records_bytes=records,
            layout=resolved.layout,
            ring_rows=resolved.ring_rows,
            stage=0,
            worker=0,
            context=replace(resolved.context(first), input=first.output),
            max_batch=first.batch_max,
            batch_timeout_ns=first.batch_timeout_ns,
            receiver=own(into.receiver),
            sender=own(out.sender),
            credits_fd=-1,
        )
        self.sender, self.receiver = Sender(own(into.sender)), Receiver(own(out.receiver))
        supervisor: Any = SimpleNamespace(tell=lambda event, **details: None)
        self._worker = Worker(told, supervisor)
        for channel in self._channels:
            channel.release_ends()
        self._thread = threading.Thread(target=self._worker.run, daemon=True)
        self._records_fd = told.records_fd

    def send(self, rows: range) -> None:
        """All in one go, before the worker starts."""
        for row in rows:
            self.sender.send(self.sender.acquire(), row)
        self._thread.start()

    def take(self) -> int:
        """The row of the next request that was handed on; its slot goes back."""
        slot = self.receiver.take()
        row = int(self.receiver.rows[slot])
        self.receiver.release(slot)
        return row

    def close(self) -> None:
        os.close(self.sender.write_fd)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
        for channel in self._channels:
            channel.close()
        os.close(self._records_fd)


@pytest.fixture
def between() -> Iterator[Any]:
    made = []

    def make(**options: Any) -> Between:
        made.append(Between(plan(*options.pop("stages"), load={"arrivals": "constant", "rate": "1/s", "requests": 64})))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def test_a_quick_worker_that_waits_for_room_holds_back_no_slot(between: Any) -> None:
    """64 requests, room for 10 behind: with the one that is in service, 11 left the first queue, and 10 slots are free.

    It returns slots in groups of 16 while it gets on; here it does not.
    """
    worker = between(stages=({"null": {"capacity": 64}}, {"null": {"capacity": 10}}))
    worker.send(range(64))
    worker.sender.set_blocking(False)
    free: list[int] = []
    until = time.monotonic() + WITHIN_S
    while len(free) < 10 and time.monotonic() < until:
        slot = worker.sender.try_acquire()
        free += [] if slot is None else [slot]
    assert len(free) == 10
    assert worker.sender.try_acquire() is None, "the one in service keeps its slot"
    assert [worker.take() for _ in range(64)] == list(range(64))
