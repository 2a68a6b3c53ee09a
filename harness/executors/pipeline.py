"""A pipeline that is open: started once, saturated if its load asks for it, given blocks of load, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness import host, pinning
from harness.clock import now_ns
from harness.errors import RunFailed, SaveError, StalledError
from harness.executors.asyncio.thread import ComputeThread
from harness.executors.base import Ending, Execution, Executor, Failure, LoadCommand
from harness.executors.kind import kind_of
from harness.executors.progress import Observer, Reporter
from harness.executors.readings import Readings
from harness.executors.recorder import TEMPORARY, Destination, Recorder
from harness.executors.ring import LIMIT, SLEEPS_UNTIL
from harness.host.memory import usable_bytes
from harness.lifeline import end_descendants_at_exit
from harness.numbers import significant
from harness.plan import Plan
from harness.records import DONE, DUE, OUTCOME, Outcome, Phase, RunRecords
from harness.scenario.model import Closed
from harness.stages import source

LEAD_NS = 20_000_000  # between the command to issue and the start of the schedule
POLL_S = 0.02
REPORTED_SHARE = 1 / 16
"""Of the ring: when so many rows were issued since the last report, the next one is due."""
SHORTEST = 0.02
"""Share of the saturated time: completions that lie closer together are one batch."""


class OpenPipeline:
    """A Plan's pipeline. `start` comes first, `stop` last, whatever happened between them; then `execution`.

    Between two blocks its workers wait in reads and cost nothing.
    """

    def __init__(
        self, plan: Plan, observe: Observer, observe_every_s: float, destination: Destination = TEMPORARY
    ) -> None:
        """destination: of records that are more than lie in memory."""
        self.plan = plan
        self.images: source.ImageSet | None = None
        self.saturated_rps: float | None = None
        self._reporter = Reporter(plan, observe, observe_every_s)
        self._destination = destination
        self._executor: Executor | None = None
        self._recorder: Recorder | None = None
        self._owned_images: source.ImageSet | None = None
        self._offered_rps: float | None = None
        self._scheduled: int | None = None
        self._counters: host.Counters | None = None
        self._counted = Readings()
        self._host: host.Interval | None = None
        self._started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")

    @property
    def failure(self) -> Failure | None:
        """Resolves when it cannot go on; None before it was started."""
        return self._executor.failure if self._executor else None

    async def start(self, images: source.ImageSet | None = None) -> None:
        """Load the images, unless they are given, and start every worker. Raises what any of them met."""
        plan = self.plan
        pinning.check_usable(plan)
        self._reporter.starting()
        try:
            async with asyncio.timeout(plan.scenario.deadlines.startup / 1e9):
                if plan.reads_images and images is None:
                    images = self._owned_images = await self._load_images()
                self.images = images if plan.reads_images else None
                self.plan = plan = plan.fitted(usable_bytes())
                self._check_disk(plan.least_rows)
                self._executor = executor = make_executor(plan, self.images)
                self._recorder = Recorder(
                    plan,
                    executor.ring,
                    executor.failures,
                    self._started_at,
                    self._destination,
                    yields=not kind_of(plan).shares_interpreter,
                )
                await self._recorder.open()
                await executor.start()
        except TimeoutError:
            waited_for = "every worker was" if self._executor else "the images were"
            raise StalledError(
                f"not {waited_for} ready after {plan.scenario.deadlines.startup / 1e9:g} s",
                where="deadlines.startup",
                hint="Raise it, if a model takes longer to load and compile.",
            ) from None

    async def _load_images(self) -> source.ImageSet:
        plan = self.plan
        thread = ComputeThread("images", discard=source.ImageSet.close)
        try:
            seeds = plan.seed("content"), plan.seed("images")
            loading = thread.call(source.load, plan.scenario.source, *seeds)
            images: source.ImageSet = await loading
            return images
        except asyncio.CancelledError:
            if not loading.cancelled() and loading.exception() is None:  # they came with the signal
                loading.result().close()
            raise
        finally:
            thread.close()

    async def saturate(self) -> None:
        """Measure `saturated_rps`: offer more than the pipeline can carry, for load.calibration. Raises RunFailed."""
        plan, executor = self.plan, self._running()
        assert not isinstance(plan.load, Closed)
        self._recording().begin(plan.first_row, Phase.SATURATION, plan.first_row)
        command = LoadCommand(0, plan.first_row, "saturate", stop_after_ns=plan.load.calibration, timed_from=0)
        await self._carry_out(command, "calibrating")
        issued = executor.ring.between(0, executor.issued)
        done = issued[issued[:, OUTCOME] == Outcome.COMPLETED]
        if not len(done):
            why = next(iter(executor.failures.values()), "no reason was given")
            raise RunFailed(f"every request that saturated the pipeline failed: {why}", where="load.calibration")
        last = plan.layout.base(-1) + DONE
        self.saturated_rps = saturated_rate(done[:, last], issued[0, DUE], issued[-1, DUE])

    def begin(self) -> None:
        """From now on it is measured what the processes and the host do."""
        self._running().sample()
        self._counters = None if kind_of(self.plan).spans_hosts else host.Counters.snapshot()

    async def play(self, block: int, rate_rps: float | None, others: Sequence[Failure] = ()) -> None:
        """Offer one block of the load, and return when every request of it has ended.

        rate_rps: of an open load. others: what ends it besides a failure of its own. Raises what ended it.
        """
        plan, load, rows, recorder = self.plan, self.plan.load, self.plan.block(block), self._recording()
        first_measured = rows.start + load.warmup
        if isinstance(load, Closed):
            recorder.begin(rows.stop, Phase.WARMUP, first_measured)
            self._count_scheduled(plan.measured)
            limit_ns, begun_ns = load.duration or 0, now_ns()
            command = LoadCommand(
                rows.start,
                rows.stop,
                "closed",
                concurrency=load.concurrency,
                stop_after_ns=limit_ns,
                timed_from=first_measured,
            )
            await self._carry_out(command, "running", others)
            if limit_ns and self._running().issued == rows.stop:
                raise _out_of_rows(rows.stop - first_measured, now_ns() - begun_ns, limit_ns)
        else:
            assert rate_rps is not None
            self._offered_rps = rate_rps
            schedule = plan.schedule(rate_rps, block)
            last = rows.start + len(schedule)
            self._check_disk(last)
            self._count_scheduled(last - first_measured)
            recorder.begin(last, Phase.WARMUP, first_measured, schedule)
            shed, start_ns = plan.scenario.on_full == "shed", now_ns() + LEAD_NS
            await self._carry_out(LoadCommand(rows.start, last, "scheduled", start_ns, shed=shed), "running", others)

    async def stop(self, hurry: asyncio.Event) -> None:
        """End everything that it started, whatever state it is in. hurry: set when nothing is to be waited for."""
        self._host = host.Counters.snapshot().since(self._counters) if self._counters else None
        if self._executor is not None:
            self._executor.sample()
            await self._executor.stop(hurry)
        if self._owned_images is not None:
            self._owned_images.close()
            self._owned_images = self.images = None

    def execution(self, ending: Ending) -> Execution:
        """What happened, once it is stopped; to be asked once: the memory of the run is let go."""
        workers = self._executor.workers if self._executor else ()
        waits, waited_ns = self._executor.ring.waits if self._executor else (0, 0)
        try:
            records = self._records()
        except SaveError as error:
            records, ending = self._no_records(), replace(ending, status="failed", error=ending.error or error)
        self._executor = self._recorder = None
        return Execution(
            plan=self.plan,
            records=records,
            status=ending.status,
            workers=workers,
            started_at=self._started_at,
            saturated_rps=self.saturated_rps,
            offered_rps=self._offered_rps,
            error=ending.error,
            signal=ending.signal,
            scheduled=self._scheduled,
            host=asdict(self._host) if self._host else {},
            counted=self._counted.arrays(),
            waits=waits,
            waited_ns=waited_ns,
        )

    def _running(self) -> Executor:
        assert self._executor is not None, "start it first"
        return self._executor

    def _recording(self) -> Recorder:
        assert self._recorder is not None, "start it first"
        return self._recorder

    def _check_disk(self, rows: int) -> None:
        self.plan.check_disk(rows, *self._destination.free())

    async def _carry_out(
        self,
        command: LoadCommand,
        phase: Literal["calibrating", "running"],
        others: Sequence[Failure] = (),
    ) -> None:
        """Issue, and wait until every issued request has ended; meanwhile take out what has."""
        executor, recorder, reporter = self._running(), self._recording(), self._reporter
        ring, deadline_ns = executor.ring, self.plan.scenario.deadlines.progress
        failures = (executor.failure, *others)
        pending = ended = command.first
        changed = now_ns()
        total = None if command.stop_after_ns else command.last - command.first
        shown, shown_before = command.first, command.first  # rows before these had ended in the last two reports
        reported = command.first
        reporter.begin(phase)
        executor.issue(command)
        while executor.issuing or ended < executor.issued:
            await asyncio.wait(failures, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            for failure in failures:
                if failure.done():
                    raise failure.result()
            at = now_ns()
            issued = max(executor.issued, command.first)  # once: the producer goes on meanwhile
            window = ring.column(pending, issued, OUTCOME)
            now_ended = pending + int(np.count_nonzero(window))
            pending += int(np.argmin(window != 0)) if now_ended < issued else len(window)
            if phase == "running":
                self._counted.add(at, issued - now_ended)
            now = now_ns()
            idle = now_ended >= issued and int(ring.words[SLEEPS_UNTIL]) > now  # the next is not due yet
            if now_ended > ended or idle:
                ended, changed = now_ended, now
            elif now - changed > deadline_ns:
                raise self._stalled(issued, ended)
            waits = issued < command.last and issued >= int(ring.words[LIMIT])
            due = recorder.streams and (waits or issued - reported > REPORTED_SHARE * ring.size)
            if reporter.due() or due:
                executor.sample()
                first = max(command.first, recorder.first)
                reporter.tell(ring.between(first, issued), first - command.first, ended - command.first, total)
                shown_before, shown, reported = shown, pending, issued
            if phase == "running":
                recorder.look(shown_before, issued)

    def _stalled(self, issued: int, ended: int) -> StalledError:
        deadline_s = self.plan.scenario.deadlines.progress / 1e9
        if issued > ended:
            return StalledError(
                f"no request ended for {deadline_s:g} s while {issued - ended} were in flight",
                where="deadlines.progress",
                hint="A stage or the producer hangs, or a service takes longer than this deadline: then raise it.",
            )
        return StalledError(
            f"no request was issued for {deadline_s:g} s: the producer or the disk hangs",
            where="deadlines.progress",
            hint="Is the disk that the records are written to still there, and quick enough?",
        )

    def _count_scheduled(self, measured: int | None) -> None:
        self._scheduled = None if measured is None else (self._scheduled or 0) + measured

    def _records(self) -> RunRecords:
        """The issued requests. One that had not ended, stamps and all, when the pipeline did is aborted."""
        if self._recorder is None or self._executor is None:
            return self._no_records()
        return self._recorder.finish(max(self._executor.issued, 0))

    def _no_records(self) -> RunRecords:
        return RunRecords(self.plan.layout, np.empty((0, self.plan.layout.width), np.int64))


def _out_of_rows(measured: int, took_ns: int, duration_ns: int) -> RunFailed:
    """The error of a load that has filled its records before its time was over."""
    return RunFailed(
        f"a run has {measured:,} measured requests at most, and that many were issued after"
        f" {significant(took_ns / 1e9)} s of {duration_ns / 1e9:g} s",
        where="load.duration",
        hint="Shorten it, or lower load.concurrency; what was measured until then is saved.",
    )


def make_executor(plan: Plan, images: source.ImageSet | None) -> Executor:
    """The executor that a Plan's scenario asks for."""
    kind = kind_of(plan)
    if kind.shares_memory:
        end_descendants_at_exit()
    return kind.make(plan, images)


def saturated_rate(done_ns: NDArray[np.int64], first_due_ns: int, last_due_ns: int) -> float:
    """Completions per second of a saturated pipeline, from when it is full until the last request was offered.

    done_ns: completion times of its requests. The slope of their rank over time, by least squares: batches complete
    in steps, and a rate between two single completions would depend on where in a step they lie. Completions within
    less than SHORTEST of the time are such a step: then those of the requests that were still in it count too.
    Raises StalledError where they do not help.
    """
    shortest = SHORTEST * (last_due_ns - first_due_ns)
    times = np.sort(done_ns[done_ns <= last_due_ns])
    times = times[len(times) // 5 :]
    if len(times) < 3 or times[-1] - times[0] <= shortest:
        times = np.sort(done_ns)
    if len(times) < 2 or times[-1] - times[0] <= shortest:
        raise StalledError(
            "load.calibration was too short to measure the saturated rate",
            where="load.calibration",
            hint="Make it longer, or set load.rate.",
        )
    seconds = (times - times[0]) / 1e9
    return float(np.polyfit(seconds, np.arange(len(seconds)), 1)[0])
