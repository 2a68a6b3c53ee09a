"""The supervisor: starts the producer and the workers, watches them, and tears everything down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from typing import IO, Any

import numpy as np

from harness import host
from harness.errors import BAD_USAGE, HarnessError, RunFailed, ScenarioError, StageFailed
from harness.executors.base import Issue, WorkerReport
from harness.executors.process import producer, worker
from harness.executors.process.channel import Channel, roomy_pipe
from harness.executors.process.child import environment
from harness.lifeline import pack
from harness.memory import allocate, attach
from harness.plan import Plan, StagePlan
from harness.records import Outcome
from harness.scenario.model import Closed
from harness.stages import Tensor
from harness.stages.source import ImageSet

GRACE_S = 5.0  # for workers to end by themselves after the last request


class _Child:
    """One process: its report, its channel of commands, and what it printed."""

    def __init__(self, report: WorkerReport, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self.report = report
        self.process = process
        self.log = log
        self.ready = asyncio.get_running_loop().create_future()
        self.crash: dict[str, Any] | None = None
        self.watcher: asyncio.Task[None] | None = None

    def send(self, message: Any) -> None:
        stdin = self.process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(pack(message))


class ProcessEngine:
    """An Engine (see executors/base.py) of processes, pipes and shared memory."""

    def __init__(self, plan: Plan, images: ImageSet | None) -> None:
        self._plan = plan
        self._images = images
        self._width = plan.layout.width
        self._nbytes = (plan.max_rows * self._width + 8) * 8
        self._populate = plan.measured is not None
        self._memory: Any = None
        self._children: list[_Child] = []
        self._channels: list[Channel] = []
        self._stopping = False
        self._issuing = False
        self.failures: dict[int, str] = {}
        self.failure: asyncio.Future[HarnessError] = asyncio.get_running_loop().create_future()
        self._fd = allocate(self._nbytes, "harness-records")
        self._memory = attach(self._fd, self._nbytes, populate=self._populate)
        flat = np.frombuffer(self._memory, np.int64)
        self.rows = flat[: plan.max_rows * self._width].reshape(plan.max_rows, self._width)
        self._progress = flat[plan.max_rows * self._width :]

    @property
    def workers(self) -> list[WorkerReport]:
        """A report each, the producer's first."""
        return [c.report for c in self._children]

    @property
    def issuing(self) -> bool:
        """Whether the producer is still at work on the last command."""
        return self._issuing

    @property
    def issued(self) -> int:
        """The row after the last one that was offered."""
        return int(self._progress[0])

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
            credits = roomy_pipe(plan.load.concurrency, 1, "load.concurrency")
        await self._start_producer(credits)
        for stage in plan.stages:
            for index in range(stage.workers):
                await self._start_worker(stage, index, credits)
        for channel in self._channels:
            channel.release_ends()
        for fd in credits:
            if fd >= 0:
                os.close(fd)
        ready = asyncio.gather(*(c.ready for c in self._children))
        either: list[asyncio.Future[Any]] = [ready, self.failure]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.failure.done():
            ready.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ready
            raise self.failure.result()

    async def _start_producer(self, credits: tuple[int, int]) -> None:
        told = producer.Instructions(
            name="producer",
            events_fd=-1,
            records_fd=self._fd,
            records_bytes=self._nbytes,
            issued_offset=self._plan.max_rows * self._width,
            populate=self._populate,
            layout=self._plan.layout,
            sender=self._channels[0].sender,
            credits_fd=credits[0],
            image_choice=self._images.choice if self._images else (),
        )
        await self._spawn(WorkerReport("producer", "", 0), "producer", told, (*told.sender.fds, credits[0]), threads=1)

    async def _start_worker(self, stage: StagePlan, index: int, credits: tuple[int, int]) -> None:
        last = stage.index == len(self._plan.stages) - 1
        told = worker.Instructions(
            name=f"{stage.name}-{index}",
            events_fd=-1,
            records_fd=self._fd,
            records_bytes=self._nbytes,
            populate=self._populate,
            layout=self._plan.layout,
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
        await self._spawn(WorkerReport(told.name, stage.name, 0), "worker", told, fds, stage.options.threads)

    async def _spawn(self, report: WorkerReport, module: str, told: Any, fds: tuple[int, ...], threads: int) -> None:
        events_read, events_write = os.pipe()
        object.__setattr__(told, "events_fd", events_write)
        log = tempfile.TemporaryFile()  # noqa: SIM115 - without a name; closed in stop()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-X", "faulthandler", "-m", f"harness.executors.process.{module}"),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[fd for fd in {*fds, events_write, self._fd} if fd >= 0],
                env=environment(threads),
                process_group=0,
            )
        except BaseException:  # such as a deadline that passes meanwhile
            os.close(events_read)
            log.close()
            raise
        finally:
            os.close(events_write)
        report.pid = process.pid
        child = _Child(report, process, log)
        self._children.append(child)
        child.watcher = asyncio.create_task(self._watch(child, events_read))
        child.send(told)

    # -------------------------------------------------------------- watching

    async def _watch(self, child: _Child, events_fd: int) -> None:
        """Take a child's events until it ends, then judge how it ended."""
        reader = asyncio.StreamReader(limit=2**22)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(events_fd, "rb")
        )
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                self._take(child, json.loads(line))
        finally:
            transport.close()
        code = await child.process.wait()
        if not self._stopping:
            self._fail(child, code)

    def _take(self, child: _Child, event: dict[str, Any]) -> None:
        match event["event"]:
            case "ready":
                child.report.startup_s = event["startup_s"]
                child.report.effective = event["effective"]
                if not child.ready.done():  # cancelled where another one has ended the start
                    child.ready.set_result(None)
            case "issued":
                self._issuing = False
            case "request failed":
                self.failures[event["row"]] = event["reason"]
            case "crashed" | "refused":
                child.crash = event

    def _fail(self, child: _Child, code: int) -> None:
        if self.failure.done():
            return
        report = child.report
        where = f"{'stage ' + report.stage if report.stage else 'producer'}, process {report.name} (pid {report.pid})"
        rows = self._in_service(report)
        if rows:
            where += f", {'request' if len(rows) == 1 else 'requests'} {', '.join(rows[:4])}"
        if child.crash is not None and child.crash["event"] == "refused":
            refusal = (ScenarioError if child.crash["exit_code"] == BAD_USAGE else StageFailed)(
                child.crash["what"], where=child.crash["where"] or f"stages.{report.stage}", hint=child.crash["hint"]
            )
            details = child.crash["details"]
            refusal.details = f"{refusal}\n{details}" if details else ""
            self.failure.set_result(refusal)
            return
        if child.crash is not None:
            what, details = child.crash["error"], child.crash["traceback"]
        else:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            what = f"the process ended with {name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
            details = ""
        child.log.seek(0)
        output = child.log.read().decode(errors="replace")
        error = (StageFailed if report.stage else RunFailed)(what, where=where)
        error.details = "\n".join(part for part in (str(error), details, output) if part)
        self.failure.set_result(error)

    def _in_service(self, report: WorkerReport) -> list[str]:
        """Names of the requests that a worker had taken and was not done with."""
        if not report.stage:
            return []
        columns = self._plan.layout.columns
        rows = self.rows[: self.issued]
        taken, done, by = (rows[:, columns[f"{report.stage}.{f}"]] for f in ("taken", "done", "worker"))
        index = int(report.name.rpartition("-")[2])
        held = np.flatnonzero((taken > 0) & (done == 0) & (by == index))
        return [self._plan.describe_row(int(row)) for row in held]

    def sample(self) -> None:
        """Read the memory and context switches of every process that is still there."""
        for child in self._children:
            usage = host.process_usage(child.report.pid) if child.process.returncode is None else None
            if usage is None:
                continue
            child.report.observe(usage)

    # -------------------------------------------------------------- issuing and stopping

    def issue(self, command: Issue) -> None:
        """Tell the producer to begin."""
        self._issuing = True
        self._children[0].send(command)

    async def stop(self) -> None:
        """Let everything end by itself if the run went well; then kill what is left."""
        if not self._stopping and self._children and not self.failure.done() and not self._unfinished():
            self._stopping = True
            self._children[0].send(None)
            waiting = [asyncio.create_task(c.process.wait()) for c in self._children]
            await asyncio.wait(waiting, timeout=GRACE_S)
        self._stopping = True
        for child in self._children:
            if child.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.kill()
        for child in self._children:
            await child.process.wait()
            if child.watcher is not None:
                await asyncio.wait([child.watcher])
            if child.process.stdin is not None:
                child.process.stdin.close()
            child.log.close()
        for channel in self._channels:
            channel.close()
        self._channels.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _unfinished(self) -> bool:
        outcome = self.rows[: self.issued, self._plan.layout.columns["outcome"]]
        due = self.rows[: self.issued, self._plan.layout.columns["due"]]
        ready = all(c.ready.done() for c in self._children)
        return not ready or self._issuing or bool(((outcome == Outcome.PENDING) & (due > 0)).any())
