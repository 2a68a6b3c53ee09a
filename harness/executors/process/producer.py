"""The producer: offers each request to the first stage when it is due, whatever the pipeline does."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.children.link import SupervisorLink
from harness.clock import SPIN_NS, now_ns, wait_until
from harness.executors.base import LoadCommand
from harness.executors.process.channel import End, Sender
from harness.executors.process.punctual import AT_MOST_AWAKE_NS, LATE_NS, Precedence
from harness.executors.ring import ISSUED, LIMIT, SLEEPS_UNTIL, WAITED_NS, WAITS
from harness.host import placement
from harness.host.scheduling import Scheduling
from harness.memory import attach
from harness.records import ACCEPTED, DONE, DUE, IMAGE, OFFERED, OUTCOME, Layout, Outcome

ROOM_S = 0.001
"""Between two looks whether there is room for the next row."""


@dataclass(frozen=True)
class Instructions:
    """All that the producer is told beforehand. A command of None ends it."""

    name: str
    events_fd: int
    records_fd: int
    records_bytes: int
    ring_rows: int
    layout: Layout
    sender: End
    credits_fd: int
    image_choice: tuple[int, ...]
    precedence: Sequence[Scheduling]
    pinned: bool


class Producer:
    """Issues rows; how far it is stands in the shared memory behind the records."""

    def __init__(self, told: Instructions) -> None:
        self._told = told
        self._stamps = memoryview(attach(told.records_fd, told.records_bytes)).cast("q")
        self._mask = told.ring_rows - 1
        self._words = told.ring_rows * told.layout.width
        self._issued = self._words + ISSUED
        self._limit = 0  # rows before it may be issued, as far as this side knows
        self._width = told.layout.width
        self._offered = told.layout.base(0) + OFFERED
        self._accepted = told.layout.base(0) + ACCEPTED
        self._choice = told.image_choice
        self._sender = Sender(told.sender)
        self._ended: deque[int] = deque()
        self._in_flight = 0
        self._precedence = Precedence(told.precedence)
        self._pinned = placement.told(placement.of_process()) if told.pinned else {}
        self._scheduled_rows = self._with_precedence = 0

    @property
    def effective(self) -> dict[str, Any]:
        """How it is scheduled, for what share of the requests so far that had a due time; if pinned, on which CPUs."""
        share = self._with_precedence / self._scheduled_rows if self._scheduled_rows else None
        return {"scheduling": {**self._precedence.effective, "share": share}, **self._pinned}

    def issue(self, command: LoadCommand) -> None:
        """Carry out one command."""
        self._sender.set_blocking(not command.shed)
        {"scheduled": self._scheduled, "closed": self._closed, "saturate": self._saturate}[command.mode](command)

    def _scheduled(self, command: LoadCommand) -> None:
        stamps, width, mask, start = self._stamps, self._width, self._mask, command.start_ns
        precedence, slept, sleeps = self._precedence, 0, self._words + SLEEPS_UNTIL
        for row in range(command.first, command.last):
            if row >= self._limit:
                self._await_room(row)
            at = (row & mask) * width + DUE
            due = stamps[at] = start + stamps[at]
            now = now_ns()
            if due - now > SPIN_NS:
                stamps[sleeps] = due
                if not precedence.taken:
                    precedence.take()
                now = slept = wait_until(due)
                if now - due > LATE_NS:
                    precedence.was_late(self._scheduled_rows + row - command.first)
            elif precedence.taken and now - slept > AT_MOST_AWAKE_NS:
                precedence.leave()
            while now < due:
                now = now_ns()
            self._with_precedence += precedence.taken
            if command.shed:
                self._offer_or_shed(row)
            else:
                self._offer(row, now)
        self._scheduled_rows += command.last - command.first
        precedence.leave()

    def _saturate(self, command: LoadCommand) -> None:
        end = now_ns() + command.stop_after_ns
        for row in range(command.first, command.last):
            if row >= self._limit:
                self._await_room(row)
            now = now_ns()
            if command.stop_after_ns and now > end:
                break
            self._stamps[(row & self._mask) * self._width + DUE] = now
            self._offer(row, now)

    def _closed(self, command: LoadCommand) -> None:
        stamps, width, mask = self._stamps, self._width, self._mask
        end = 0
        while self._in_flight:  # of the command before
            self._next_ended()
        last_done = [self._told.layout.base(name) + DONE for name in reversed(self._told.layout.names)]
        for row in range(command.first, command.last):
            if row < command.first + command.concurrency:
                due = now_ns()
            else:
                at = (self._next_ended() & mask) * width
                due = next(stamps[at + done] for done in last_done if stamps[at + done])
            if command.stop_after_ns and row == command.timed_from:
                end = due + command.stop_after_ns
            if end and due > end:
                break
            if row >= self._limit:
                self._await_room(row)
            stamps[(row & mask) * width + DUE] = due
            self._in_flight += 1
            self._offer(row, now_ns())

    def _next_ended(self) -> int:
        """The row of a request of a closed load that has ended; waits for one."""
        if not self._ended:
            self._ended.extend(memoryview(os.read(self._told.credits_fd, 4096)).cast("i"))
        self._in_flight -= 1
        return self._ended.popleft()

    def _await_room(self, row: int) -> None:
        """Return when the place of a row is free: the recorder takes out what has ended. What it costs is counted."""
        stamps, words = self._stamps, self._words
        if row >= stamps[words + LIMIT]:
            began = now_ns()
            self._precedence.leave()
            while row >= stamps[words + LIMIT]:
                time.sleep(ROOM_S)
            stamps[words + WAITS] += 1
            stamps[words + WAITED_NS] += now_ns() - began
        self._limit = stamps[words + LIMIT]

    def _offer(self, row: int, offered: int) -> None:
        sender, at = self._sender, (row & self._mask) * self._width
        if self._choice:
            self._stamps[at + IMAGE] = self._choice[row % len(self._choice)]
        self._stamps[at + self._offered] = offered
        if sender.in_hand:
            slot = sender.in_hand.pop()
            self._stamps[at + self._accepted] = offered
        else:
            slot = sender.acquire()
            self._stamps[at + self._accepted] = now_ns()
        sender.send(slot, row)
        self._stamps[self._issued] = row + 1

    def _offer_or_shed(self, row: int) -> None:
        at = (row & self._mask) * self._width
        if self._choice:
            self._stamps[at + IMAGE] = self._choice[row % len(self._choice)]
        offered = self._stamps[at + self._offered] = now_ns()
        slot = self._sender.try_acquire()
        if slot is None:
            self._stamps[at + OUTCOME] = Outcome.DROPPED
        else:
            self._stamps[at + self._accepted] = offered
            self._sender.send(slot, row)
        self._stamps[self._issued] = row + 1


def main() -> None:
    """Run the producer as a process."""
    supervisor = SupervisorLink()
    with supervisor.reporting_errors():
        producer = Producer(supervisor.instructions)
        supervisor.tell("ready", startup_s={}, effective=producer.effective)
        while (command := supervisor.commands.get()) is not None:
            producer.issue(command)
            supervisor.tell("issued", effective=producer.effective)
