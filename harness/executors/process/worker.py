"""A stage worker: takes requests from its channel, serves them, stamps them, hands them on.

Two ways to serve. One at a time: the slot for the result is taken before service starts (blocking before service),
and the result is written straight into it. In batches: the results are kept until slots come free, one by one
(blocking after service), since workers that each held some of the slots they need would wait for each other for ever.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from typing import Any, cast

from harness.children.link import SupervisorLink
from harness.clock import now_ns
from harness.executors.process.channel import TOKEN, End, EndOfStreamError, Receiver, Sender, payload_array
from harness.host import placement
from harness.memory import attach
from harness.records import (
    ACCEPTED,
    ANSWER,
    BATCH,
    DONE,
    FAILED_STAGE,
    IMAGE,
    OFFERED,
    OUTCOME,
    PARTS,
    STARTED,
    TAKEN,
    WORKER,
    Layout,
    Outcome,
)
from harness.stages import BatchingStage, RequestError, StageContext, build, threads


@dataclass(frozen=True)
class Instructions:
    """All that a worker is told."""

    name: str
    events_fd: int
    records_fd: int
    records_bytes: int
    layout: Layout
    ring_rows: int
    stage: int
    worker: int
    context: StageContext
    max_batch: int
    batch_timeout_ns: int
    receiver: End
    sender: End | None
    credits_fd: int


class Worker:
    """The loops. Stamps go through one memoryview of int64 over the shared records."""

    def __init__(self, told: Instructions, supervisor: SupervisorLink) -> None:
        self._told = told
        self._supervisor = supervisor
        self._stamps = memoryview(attach(told.records_fd, told.records_bytes)).cast("q")
        self._width = told.layout.width
        self._mask = told.ring_rows - 1
        self._base = told.layout.base(told.stage)
        self._next = told.layout.base(told.stage + 1) if told.sender else 0
        self._receiver = Receiver(told.receiver)
        self._sender = Sender(told.sender) if told.sender else None
        self._private = payload_array(told.context.output)
        self._stage = build(told.context)

    def run(self) -> None:
        """Open the stage, say so, serve until the stream ends."""
        opened = threads.opened(self._stage, self._told.context.options, placement.of_process)
        self._supervisor.tell("ready", startup_s=dict(opened.startup_s), effective=dict(opened.effective))
        with contextlib.suppress(EndOfStreamError):
            if self._told.max_batch > 1:
                self._serve_batches()
            else:
                self._serve_singly()
        self._stage.close()

    def _serve_singly(self) -> None:
        """Between the wake-up and handing on stands what the request needs, in few steps; what can wait comes after.

        The input slot goes back first: the kernel may start the next stage only when this one waits again.
        """
        stamps, width, mask, base, following = self._stamps, self._width, self._mask, self._base, self._next
        receiver, sender, stage = self._receiver, self._sender, self._stage
        in_hand, rows, payloads = receiver.in_hand, receiver.rows, receiver.payloads
        read, read_fd, at_once, numbers = os.read, receiver.read_fd, receiver.at_once, receiver.numbers
        tokens, free_fd, freed = receiver.tokens, receiver.write_fd, b""
        # The stage that takes no time returns slots in groups: else each would wake the upstream side. A service that
        # can take long must not keep them meanwhile.
        group = receiver.group if self._told.context.options.instant else TOKEN
        process, worker, parts = stage.process, self._told.worker, len(self._told.context.parts)
        images, out, now, write = self._told.context.images, self._private, now_ns, os.write
        if sender is not None:
            free, outputs, ahead_rows, ahead_tokens = sender.in_hand, sender.payloads, sender.rows, sender.tokens
            ready_fd = sender.write_fd
        while True:
            if in_hand:
                slot = in_hand.popleft()
            else:
                data = read(read_fd, at_once)
                slot = numbers[data] if len(data) == TOKEN else receiver.keep(data)
            taken = started = now()
            row = rows[slot]
            at = (row & mask) * width
            here = at + base
            stamps[here + TAKEN] = taken
            stamps[here + WORKER] = worker
            if sender is not None:
                if free:
                    ahead = free.pop()
                else:
                    if freed:  # what was returned must not wait until this one gets on
                        write(free_fd, freed)
                        freed = b""
                    ahead = sender.acquire()
                    started = now()
                out = outputs[ahead]
            reason = None
            try:
                answer = process(payloads[slot] if images is None else images[stamps[at + IMAGE]], out, row)
            except RequestError as error:
                answer, reason = -1, error.reason
            done = now()
            freed += tokens[slot]
            if not in_hand or len(freed) >= group:
                write(free_fd, freed)
                freed = b""
            if sender is not None:
                if reason is not None:
                    sender.give_back(ahead)
                else:
                    ahead_rows[ahead] = row
                    write(ready_fd, ahead_tokens[ahead])
                    stamps[at + following + OFFERED] = taken
                    stamps[at + following + ACCEPTED] = started
            stamps[here + STARTED] = started
            stamps[here + BATCH] = row
            if answer >= 0:
                stamps[at + ANSWER] = answer
            for part in range(parts if reason is None else 0):
                stamps[here + PARTS + part] = stage.part_ns[part]
            stamps[here + DONE] = done  # the last: whoever finds it finds all of them
            if reason is not None:
                self._fail(row, reason)
            elif sender is None:
                self._end(at, row, Outcome.COMPLETED)

    def _serve_batches(self) -> None:
        told, stamps, width, mask, base = self._told, self._stamps, self._width, self._mask, self._base
        receiver, stage = self._receiver, cast(BatchingStage, self._stage)
        parts = len(told.context.parts)
        receiver.set_blocking(False)
        while True:
            slots = [receiver.take()]
            taken = [now_ns()]
            deadline = taken[0] + told.batch_timeout_ns
            while len(slots) < told.max_batch and (slot := receiver.take_before(deadline)) is not None:
                slots.append(slot)
                taken.append(now_ns())
            rows = [receiver.rows[slot] for slot in slots]
            started = now_ns()
            for row, when in zip(rows, taken, strict=True):
                here = (row & mask) * width + base
                stamps[here + TAKEN] = when
                stamps[here + STARTED] = started
                stamps[here + WORKER] = told.worker
                stamps[here + BATCH] = rows[0]
            reason = None
            try:
                results = stage.process_batch([self._item(s, r) for s, r in zip(slots, rows, strict=True)], rows)
            except RequestError as error:
                reason = error.reason
            done = now_ns()
            for row in rows:
                here = (row & mask) * width + base
                for part in range(parts if reason is None else 0):
                    stamps[here + PARTS + part] = stage.part_ns[part]
                stamps[here + DONE] = done
            for slot in slots:
                receiver.release(slot)
            for index, row in enumerate(rows):
                if reason is not None:
                    self._fail(row, reason)
                else:
                    self._hand_on(row, results[index], done)

    def _item(self, slot: int, row: int) -> Any:
        images = self._told.context.images
        return self._receiver.payloads[slot] if images is None else images[self._stamps[self._at(row) + IMAGE]]

    def _hand_on(self, row: int, result: Any, done: int) -> None:
        """Offered is when it was done: what came before it out of the same batch is part of its being blocked."""
        at = self._at(row)
        if self._sender is None:
            self._end(at, row, Outcome.COMPLETED)
            return
        ahead = self._sender.acquire()
        self._sender.payloads[ahead][...] = result
        self._stamps[at + self._next + OFFERED] = done
        self._stamps[at + self._next + ACCEPTED] = now_ns()
        self._sender.send(ahead, row)

    def _fail(self, row: int, reason: str) -> None:
        self._supervisor.tell("request failed", row=row, reason=reason)
        at = self._at(row)
        self._stamps[at + FAILED_STAGE] = self._told.stage
        self._end(at, row, Outcome.FAILED)

    def _at(self, row: int) -> int:
        return (row & self._mask) * self._width

    def _end(self, at: int, row: int, outcome: int) -> None:
        self._stamps[at + OUTCOME] = outcome
        if self._told.credits_fd >= 0:
            os.write(self._told.credits_fd, struct.pack("i", row))


def main() -> None:
    """Run a worker as a process; whatever it raises reaches the supervisor with its traceback."""
    supervisor = SupervisorLink()
    with supervisor.reporting_errors():
        Worker(supervisor.instructions, supervisor).run()
