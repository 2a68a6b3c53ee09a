"""The asyncio executor: the same Plan in one process. Stages are tasks, channels bounded queues, compute is in threads.

It shows what a pipeline costs without processes: no hop between address spaces, but one interpreter lock for all.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import host
from harness.clock import SPIN_NS, now_ns, sharpen_timers
from harness.errors import HarnessError, RunFailed
from harness.executors.asyncio.channel import Channel, EndOfStreamError
from harness.executors.asyncio.computing import open_stage, stage_failed, timed
from harness.executors.asyncio.thread import ComputeThread, close_all
from harness.executors.base import LoadCommand, WorkerReport
from harness.executors.ring import LIMIT, SLEEPS_UNTIL, WAITED_NS, WAITS, Ring
from harness.plan import Plan, StagePlan
from harness.records import (
    ACCEPTED,
    ANSWER,
    BATCH,
    DONE,
    DUE,
    FAILED_STAGE,
    IMAGE,
    OFFERED,
    OUTCOME,
    PARTS,
    STARTED,
    TAKEN,
    WORKER,
    Outcome,
)
from harness.scenario.model import Closed
from harness.stages import RequestError, Stage, Tensor, build
from harness.stages.source import ImageSet

GRACE_S = 5.0  # for the stages to close after the last request
ROOM_S = 0.001  # between two looks whether there is room for the next row
THREADS_S = 1.0  # for the threads to end: one that hangs in a stage is left behind


class AsyncioExecutor:
    """An Executor (see executors/base.py) of tasks and threads."""

    def __init__(self, plan: Plan, images: ImageSet | None) -> None:
        self._plan = plan
        self._images = images
        values = Ring.values_of(plan.layout, plan.ring_rows)
        self.ring = Ring(plan.layout, plan.ring_rows, np.zeros(values, np.int64))
        self.failures: dict[int, str] = {}
        self.failure: asyncio.Future[HarnessError] = asyncio.get_running_loop().create_future()
        self.issued = 0
        self.issuing = False
        self._report = WorkerReport("harness", "", os.getpid())
        self._reports: list[WorkerReport] = [self._report]
        self._channels: list[Channel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: list[ComputeThread] = []
        self._credits: asyncio.Queue[int] | None = asyncio.Queue() if isinstance(plan.load, Closed) else None
        self._producer_left = False

    @property
    def workers(self) -> Sequence[WorkerReport]:
        return self._reports

    def sample(self) -> None:
        """Read the memory of this process."""
        usage = host.process_usage(os.getpid())
        if usage is not None:
            self._report.observe(usage)

    async def start(self) -> None:
        """Open every stage in the thread that will compute for it, one after the other; then start the tasks."""
        sharpen_timers()
        stages = self._plan.stages
        for stage in stages:
            before = stages[stage.index - 1].workers if stage.index else 1
            payload = stage.input if isinstance(stage.input, Tensor) else None
            self._channels.append(Channel(stage.capacity, payload, before))
        for stage in stages:
            for index in range(stage.workers):
                name = f"{stage.name}-{index}"
                thread = ComputeThread(name)
                self._threads.append(thread)
                try:
                    instance = build(replace(self._plan.context(stage), images=self._images))
                    opened = await thread.call(open_stage, instance, stage.options)
                except HarnessError as error:
                    error.where = error.where or f"stages.{stage.name}"
                    raise
                except Exception as error:
                    raise stage_failed(stage, name, error, []) from None
                self._reports.append(
                    WorkerReport(name, stage.name, os.getpid(), opened.startup_s, opened.effective, index)
                )
                self._tasks.append(asyncio.create_task(self._worker(stage, index, thread, instance), name=name))

    # -------------------------------------------------------------- producing

    def issue(self, command: LoadCommand) -> None:
        """Begin to issue. Every request of the command before has ended."""
        self.issuing = True
        if self._credits is not None:
            self._credits = asyncio.Queue()
        producer = asyncio.create_task(self._produce(command), name="producer")
        producer.add_done_callback(self._produced)
        self._tasks.append(producer)

    def _produced(self, producer: asyncio.Task[None]) -> None:
        error = None if producer.cancelled() else producer.exception()
        if error is not None and not self.failure.done():
            failed = RunFailed(f"{type(error).__name__}: {error}", where="producer")
            failed.details = "".join(traceback.format_exception(error))
            self.failure.set_result(failed)

    async def _produce(self, command: LoadCommand) -> None:
        channel, ring = self._channels[0], self.ring
        base = self._plan.layout.base(0)
        choice = self._images.choice if self._images else ()
        end_ns = 1 << 62
        for row in range(command.first, command.last):
            if command.mode == "scheduled":
                await self._room_for(row)
                record = ring[row]
                record[DUE] += command.start_ns
                ring.words[SLEEPS_UNTIL] = record[DUE]
                await _sleep_until(int(record[DUE]))
            else:
                now = await self._next_due(command, row)
                if command.stop_after_ns and row == command.timed_from:
                    end_ns = now + command.stop_after_ns
                if now > end_ns:
                    break
                await self._room_for(row)
                record = ring[row]
                record[DUE] = now
            if choice:
                record[IMAGE] = choice[row % len(choice)]
            record[base + OFFERED] = now_ns()
            slot = channel.try_acquire()
            if slot is None and command.shed:
                record[OUTCOME] = Outcome.DROPPED
            else:
                slot = await channel.acquire() if slot is None else slot
                record[base + ACCEPTED] = now_ns()
                channel.send(slot, row)
            self.issued = row + 1
        self.issuing = False

    async def _room_for(self, row: int) -> None:
        """Return when the place of a row is free. What it costs is counted."""
        words = self.ring.words
        if row >= words[LIMIT]:
            began = now_ns()
            while row >= words[LIMIT]:
                await asyncio.sleep(ROOM_S)
            words[WAITS] += 1
            words[WAITED_NS] += now_ns() - began

    async def _next_due(self, command: LoadCommand, row: int) -> int:
        if command.mode == "closed" and row >= command.first + command.concurrency:
            assert self._credits is not None
            return await self._credits.get()
        if command.mode == "saturate":
            await asyncio.sleep(0)
        return now_ns()

    # -------------------------------------------------------------- serving

    async def _worker(self, stage: StagePlan, index: int, thread: ComputeThread, instance: Stage) -> None:
        following = self._channels[stage.index + 1] if stage.index + 1 < len(self._channels) else None
        serve = self._serve_batch if stage.batch_max > 1 else self._serve_one
        held: list[int] = []
        try:
            while True:
                held.clear()
                await serve(stage, index, thread, instance, following, held)
        except EndOfStreamError:
            await thread.call(instance.close)
        except Exception as error:
            if not self.failure.done():
                numbers = [self._plan.describe_row(row) for row in held]
                self.failure.set_result(stage_failed(stage, f"{stage.name}-{index}", error, numbers))
        finally:
            if following is not None:
                following.leave()

    async def _serve_one(
        self,
        stage: StagePlan,
        index: int,
        thread: ComputeThread,
        instance: Any,
        following: Channel | None,
        held: list[int],
    ) -> None:
        channel, base = self._channels[stage.index], self._plan.layout.base(stage.index)
        slot, row = await channel.take()
        held.append(row)
        record = self.ring[row]
        record[base + TAKEN] = now_ns()
        record[base + WORKER] = index
        record[base + BATCH] = row
        ahead = -1
        out = None
        if following is not None:
            ahead_base = self._plan.layout.base(stage.index + 1)
            record[ahead_base + OFFERED] = now_ns()
            ahead = await following.acquire()
            record[ahead_base + ACCEPTED] = now_ns()
            out = following.payloads[ahead]
        if out is None:
            out = np.empty(stage.output.shape, stage.output.dtype)
        try:
            item = self._item(stage, channel, slot, row)
            started, done, answer = await thread.call(timed, instance.process, item, out, row)
        except RequestError as error:
            record[base + STARTED] = record[base + TAKEN]
            record[base + DONE] = now_ns()
            if following is not None:
                record[[ahead_base + OFFERED, ahead_base + ACCEPTED]] = 0
                following.release(ahead)
            self._fail(stage, row, error.reason)
        else:
            record[base + STARTED] = started
            record[base + DONE] = done
            for part in range(len(stage.parts)):
                record[base + PARTS + part] = instance.part_ns[part]
            if answer >= 0:
                record[ANSWER] = answer
            if following is not None:
                following.send(ahead, row)
            else:
                self._end(row, Outcome.COMPLETED, done)
        channel.release(slot)

    async def _serve_batch(
        self,
        stage: StagePlan,
        index: int,
        thread: ComputeThread,
        instance: Any,
        following: Channel | None,
        held: list[int],
    ) -> None:
        channel, ring, base = self._channels[stage.index], self.ring, self._plan.layout.base(stage.index)
        taken = [await channel.take()]
        deadline = now_ns() + stage.batch_timeout_ns
        ring[taken[0][1]][base + TAKEN] = now_ns()
        while len(taken) < stage.batch_max and (more := await channel.take_before(deadline)) is not None:
            taken.append(more)
            ring[more[1]][base + TAKEN] = now_ns()
        rows = [row for _, row in taken]
        places = [row & ring.mask for row in rows]
        held.extend(rows)
        ring.rows[places, base + WORKER] = index
        ring.rows[places, base + BATCH] = rows[0]
        reason = None
        begun = now_ns()
        try:
            items = [self._item(stage, channel, slot, row) for slot, row in taken]
            started, done, results = await thread.call(timed, instance.process_batch, items, rows)
        except RequestError as error:
            started, done, results, reason = begun, now_ns(), [], error.reason
        ring.rows[places, base + STARTED] = started
        ring.rows[places, base + DONE] = done
        for part in range(len(stage.parts) if reason is None else 0):
            ring.rows[places, base + PARTS + part] = instance.part_ns[part]
        for slot, _ in taken:
            channel.release(slot)
        for i, row in enumerate(rows):
            if reason is not None:
                self._fail(stage, row, reason)
            elif following is None:
                self._end(row, Outcome.COMPLETED, done)
            else:
                ahead_base = self._plan.layout.base(stage.index + 1)
                ahead = await following.acquire()
                following.payloads[ahead][...] = results[i]
                ring[row][ahead_base + OFFERED] = done
                ring[row][ahead_base + ACCEPTED] = now_ns()
                following.send(ahead, row)

    def _item(self, stage: StagePlan, channel: Channel, slot: int, row: int) -> Any:
        if stage.reads_images and self._images is not None:
            return self._images[int(self.ring[row][IMAGE])]
        return channel.payloads[slot]

    def _fail(self, stage: StagePlan, row: int, reason: str) -> None:
        self.failures[row] = reason
        self.ring[row][FAILED_STAGE] = stage.index
        self._end(row, Outcome.FAILED, now_ns())

    def _end(self, row: int, outcome: int, when_ns: int) -> None:
        self.ring[row][OUTCOME] = outcome
        if self._credits is not None:
            self._credits.put_nowait(when_ns)

    async def stop(self, hurry: asyncio.Event) -> None:
        """End the tasks: by themselves when nothing is under way, else by cancelling them. Then the threads."""
        if not self._producer_left and self._channels:
            self._producer_left = True
            self._channels[0].leave()
        _, rows = self.ring.recent(self.issued)
        pending = rows[:, OUTCOME] == Outcome.PENDING
        offered = rows[:, self._plan.layout.base(0) + OFFERED] > 0
        unfinished = self.issuing or self.failure.done() or bool((pending & offered).any())
        if self._tasks and not unfinished:
            ended, hurrying = (asyncio.ensure_future(w) for w in (asyncio.wait(self._tasks), hurry.wait()))
            await asyncio.wait((ended, hurrying), timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            hurrying.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await close_all(self._threads, THREADS_S)
        self._threads.clear()


async def _sleep_until(due_ns: int) -> None:
    """Sleep on the loop until shortly before, then let others run until it is time."""
    while (left_ns := due_ns - now_ns()) > 0:
        await asyncio.sleep(max(0, left_ns - SPIN_NS) / 1e9)
