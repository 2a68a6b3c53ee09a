"""The supervisor: starts the producer and the workers, watches them, and tears everything down."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from typing import Any

import numpy as np

from harness import host
from harness.children.process import Duty, Event
from harness.children.verdict import verdict
from harness.children.watched import WatchedChild
from harness.errors import HarnessError, RunFailed
from harness.executors.base import LoadCommand, WorkerReport
from harness.executors.process import producer, punctual, worker
from harness.executors.process.channel import Channel, roomy_pipe
from harness.executors.ring import ISSUED, Ring
from harness.lifeline import kill_marked, new_mark
from harness.memory import allocate, attach
from harness.plan import Plan, StagePlan
from harness.records import DONE, OFFERED, OUTCOME, TAKEN, WORKER, Outcome
from harness.scenario.model import Closed
from harness.stages import Tensor
from harness.stages.source import ImageSet

GRACE_S = 5.0  # for workers to end by themselves after the last request
KILL_S = 5.0  # for the kernel to end those that were killed


class _Worker:
    """The producer or a worker of a stage: its report, its process, and how it went."""

    def __init__(self, report: WorkerReport) -> None:
        self.report = report
        self.child: WatchedChild
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ProcessExecutor:
    """An Executor (see executors/base.py) of processes, pipes and shared memory."""

    def __init__(self, plan: Plan, images: ImageSet | None) -> None:
        self._plan = plan
        self._images = images
        self._nbytes = 8 * Ring.values_of(plan.layout, plan.ring_rows)
        self._workers: list[_Worker] = []
        self._channels: list[Channel] = []
        self._credits: tuple[int, ...] = ()
        self._mark = new_mark()
        self._stopping = False
        self._issuing = False
        self.failures: dict[int, str] = {}
        self.failure: asyncio.Future[HarnessError] = asyncio.get_running_loop().create_future()
        self._fd = allocate(self._nbytes, "harness-records")
        try:
            memory = attach(self._fd, self._nbytes)
        except BaseException:
            os.close(self._fd)
            raise
        self.ring = Ring(plan.layout, plan.ring_rows, np.frombuffer(memory, np.int64))

    @property
    def workers(self) -> list[WorkerReport]:
        """A report each, the producer's first."""
        return [w.report for w in self._workers]

    @property
    def issuing(self) -> bool:
        """Whether the producer is still at work on the last command."""
        return self._issuing

    @property
    def issued(self) -> int:
        """The row after the last one that was offered."""
        return int(self.ring.words[ISSUED])

    # -------------------------------------------------------------- starting

    async def start(self) -> None:
        """Start all processes at once; return when each has said that it is ready. Raises what any of them met."""
        plan = self._plan
        for stage in plan.stages:
            before = plan.stages[stage.index - 1].workers if stage.index else 1
            payload = stage.input if isinstance(stage.input, Tensor) else None
            sheds = stage.index == 0 and plan.scenario.on_full == "shed"
            channel = Channel(stage.name, stage.capacity, payload, before, stage.workers, prompt=sheds)
            self._channels.append(channel)
        credits = (-1, -1)
        if isinstance(plan.load, Closed):
            self._credits = credits = roomy_pipe(plan.load.concurrency, 1, "load.concurrency")
        self._start_producer(credits)
        for stage in plan.stages:
            for index in range(stage.workers):
                await asyncio.sleep(0)  # each takes some milliseconds: a deadline or a signal may come between two
                self._start_worker(stage, index, credits)
        for channel in self._channels:
            channel.release_ends()
        self._close_credits()
        ready = asyncio.gather(*(w.ready for w in self._workers))
        either: list[asyncio.Future[Any]] = [ready, self.failure]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.failure.done():
            ready.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ready
            raise self.failure.result()

    def _start_producer(self, credits: tuple[int, int]) -> None:
        told = producer.Instructions(
            name="producer",
            events_fd=-1,
            records_fd=self._fd,
            records_bytes=self._nbytes,
            layout=self._plan.layout,
            ring_rows=self.ring.size,
            sender=self._channels[0].sender,
            credits_fd=credits[0],
            image_choice=self._images.choice if self._images else (),
            precedence=punctual.WAYS,
            pinned=self._plan.load.cpus is not None,
        )
        report = WorkerReport("producer", "", 0)
        self._spawn(report, "producer", told, (*told.sender.fds, credits[0]), 1, self._plan.load.cpus, "clears-up")

    def _start_worker(self, stage: StagePlan, index: int, credits: tuple[int, int]) -> None:
        last = stage.index == len(self._plan.stages) - 1
        told = worker.Instructions(
            name=f"{stage.name}-{index}",
            events_fd=-1,
            records_fd=self._fd,
            records_bytes=self._nbytes,
            layout=self._plan.layout,
            ring_rows=self.ring.size,
            stage=stage.index,
            worker=index,
            context=replace(self._plan.context(stage), images=self._images if stage.reads_images else None),
            max_batch=stage.batch_max,
            batch_timeout_ns=stage.batch_timeout_ns,
            receiver=self._channels[stage.index].receiver,
            sender=None if last else self._channels[stage.index + 1].sender,
            credits_fd=credits[1],
        )
        fds = (*told.receiver.fds, *(told.sender.fds if told.sender else ()), credits[1])
        if told.context.images:
            fds += (told.context.images.fd,)
        report = WorkerReport(told.name, stage.name, 0, index=index)
        self._spawn(report, "worker", told, fds, stage.options.threads, stage.options.cpus, "may-hang")

    def _spawn(
        self,
        report: WorkerReport,
        module: str,
        told: Any,
        fds: tuple[int, ...],
        threads: int,
        cpus: tuple[int, ...] | None,
        duty: Duty,
    ) -> None:
        one = _Worker(report)
        one.child = WatchedChild(
            f"harness.executors.process.{module}",
            lambda events_fd: replace(told, events_fd=events_fd),
            lambda event: self._take(one, event),
            lambda error: self._misunderstood(one, error),
            mark=self._mark,
            threads=threads,
            cpus=cpus or (),
            fds=(*fds, self._fd),
            duties=[duty],
        )
        report.pid = one.child.pid
        self._workers.append(one)
        one.child.ended.add_done_callback(lambda ended: self._judge(one, ended.result()))

    # -------------------------------------------------------------- watching

    def _take(self, worker: _Worker, event: Event) -> None:
        match event["event"]:
            case "ready":
                worker.report.startup_s = event["startup_s"]
                worker.report.effective = event["effective"]
                if not worker.ready.done():  # cancelled where another one has ended the start
                    worker.ready.set_result(None)
            case "issued":
                self._issuing = False
                worker.report.effective = event["effective"]
            case "request failed":
                self.failures[event["row"]] = event["reason"]

    def _misunderstood(self, worker: _Worker, error: Exception) -> None:
        if not self.failure.done():
            what = f"it said what is not understood: {type(error).__name__}: {error}"
            self.failure.set_result(RunFailed(what, where=f"process {worker.report.name} (pid {worker.report.pid})"))

    def _judge(self, worker: _Worker, code: int) -> None:
        """A process has ended: that is a failure, unless it was to."""
        if self._stopping or self.failure.done():
            return
        report = worker.report
        where = f"{'stage ' + report.stage if report.stage else 'producer'}, process {report.name} (pid {report.pid})"
        rows = self._in_service(report)
        if rows:
            where += f", {'request' if len(rows) == 1 else 'requests'} {', '.join(rows[:4])}"
        self.failure.set_result(verdict(worker.child, code, where=where, stage=report.stage))

    def _in_service(self, report: WorkerReport) -> list[str]:
        """Names of the requests that a worker had taken and was not done with."""
        if not report.stage:
            return []
        base = self._plan.layout.base(report.stage)
        first, rows = self.ring.recent(self.issued)
        taken, done, by = (rows[:, base + field] for field in (TAKEN, DONE, WORKER))
        held = first + np.flatnonzero((taken > 0) & (done == 0) & (by == report.index))
        return [self._plan.describe_row(int(row)) for row in held]

    def sample(self) -> None:
        """Read the memory and context switches of every process that is still there."""
        for one in self._workers:
            usage = None if one.child.ended.done() else host.process_usage(one.report.pid)
            if usage is not None:
                one.report.observe(usage)

    # -------------------------------------------------------------- issuing and stopping

    def issue(self, command: LoadCommand) -> None:
        """Tell the producer to begin."""
        self._issuing = True
        self._workers[0].child.send(command)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Let everything end by itself if the run went well; then kill what is left, and what that has started."""
        if not self._stopping and self._workers and not self.failure.done() and not self._unfinished():
            self._stopping = True
            self._workers[0].child.send(None)
            await self._ended(GRACE_S, hurry)
        self._stopping = True
        for one in self._workers:
            one.child.kill()
        await self._ended(KILL_S, asyncio.Event())
        for one in self._workers:
            one.child.close()
        if self._workers:
            kill_marked(self._mark)
        self._close_credits()
        for channel in self._channels:
            channel.close()
        self._channels.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    async def _ended(self, within_s: float, hurry: asyncio.Event) -> None:
        """Return when every process has ended, the time is over, or there is hurry."""
        running = [w.child.ended for w in self._workers if not w.child.ended.done()]
        if running:
            either = asyncio.ensure_future(asyncio.wait(running)), asyncio.ensure_future(hurry.wait())
            await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            for waiting in either:
                waiting.cancel()

    def _close_credits(self) -> None:
        for fd in self._credits:
            os.close(fd)
        self._credits = ()

    def _unfinished(self) -> bool:
        _, rows = self.ring.recent(self.issued)
        offered = rows[:, self._plan.layout.base(0) + OFFERED] > 0
        ready = all(w.ready.done() for w in self._workers)
        return not ready or self._issuing or bool(((rows[:, OUTCOME] == Outcome.PENDING) & offered).any())
