"""A pipeline that is open: started once, calibrated if its load asks for it, given blocks of load, stopped."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness import host
from harness.clock import now_ns
from harness.errors import RunFailed, StalledError
from harness.executors.asyncio.thread import ComputeThread
from harness.executors.base import Ending, Execution, Executor, Failure, LoadCommand
from harness.executors.kind import kind_of
from harness.executors.progress import Observer, Reporter
from harness.host.memory import usable_bytes
from harness.lifeline import end_descendants_at_exit
from harness.plan import Plan
from harness.records import OFFERED, STAMPS, Outcome, Phase, RunRecords
from harness.scenario.model import Closed
from harness.stages import source

LEAD_NS = 20_000_000  # between the command to issue and the start of the schedule
POLL_S = 0.02
SHORTEST = 0.02
"""Of the calibration: completions that lie closer together are one batch."""


class OpenPipeline:
    """A Plan's pipeline. `start` comes first, `stop` last, whatever happened between them; then `execution`.

    Between two blocks its workers wait in reads and cost nothing.
    """

    def __init__(self, plan: Plan, observe: Observer, observe_every_s: float) -> None:
        self.plan = plan
        self.images: source.ImageSet | None = None
        self.capacity_rps: float | None = None
        self._reporter = Reporter(plan, observe, observe_every_s)
        self._executor: Executor | None = None
        self._owned_images: source.ImageSet | None = None
        self._offered_rps: float | None = None
        self._scheduled: int | None = None
        self._counters: host.Counters | None = None
        self._counted_at, self._counted = array("q"), array("q")
        self._host: host.Interval | None = None
        self._started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")

    @property
    def failure(self) -> Failure | None:
        """Resolves when it cannot go on; None before it was started."""
        return self._executor.failure if self._executor else None

    async def start(self, images: source.ImageSet | None = None) -> None:
        """Load the images, unless they are given, and start every worker. Raises what any of them met."""
        plan = self.plan
        self._reporter.starting()
        try:
            async with asyncio.timeout(plan.scenario.deadlines.startup / 1e9):
                if plan.reads_images and images is None:
                    images = self._owned_images = await self._load_images()
                self.images = images if plan.reads_images else None
                self.plan = plan = plan.fitted(usable_bytes())
                self._executor = make_executor(plan, self.images)
                await self._executor.start()
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

    async def calibrate(self) -> None:
        """Saturate the pipeline for a while: `capacity_rps` is then known. Raises RunFailed."""
        plan, executor = self.plan, self._running()
        assert not isinstance(plan.load, Closed)
        phase, due, outcome = (plan.layout.columns[c] for c in ("phase", "due", "outcome"))
        executor.rows[: plan.first_row, phase] = Phase.CALIBRATION
        command = LoadCommand(0, plan.first_row, "saturate", stop_after_ns=plan.load.calibration, timed_from=0)
        await self._carry_out(command, "calibrating")
        issued = executor.rows[: executor.issued]
        done = issued[issued[:, outcome] == Outcome.COMPLETED]
        if not len(done):
            why = next(iter(executor.failures.values()), "no reason was given")
            raise RunFailed(f"every request of the calibration failed: {why}", where="load.calibration")
        last = plan.layout.columns[f"{plan.layout.names[-1]}.done"]
        self.capacity_rps = saturated_rate(done[:, last], issued[0, due], issued[-1, due])

    def begin(self) -> None:
        """From now on it is measured what the processes and the host do."""
        self._running().sample()
        self._counters = None if kind_of(self.plan).spans_hosts else host.Counters.snapshot()

    async def play(self, block: int, rate_rps: float | None, others: Sequence[Failure] = ()) -> None:
        """Offer one block of the load, and return when every request of it has ended.

        rate_rps: of an open load. others: what ends it besides a failure of its own. Raises what ended it.
        """
        plan, load, rows = self.plan, self.plan.load, self._running().rows
        columns, block_rows = plan.layout.columns, plan.block(block)
        first, last = block_rows.start, block_rows.stop
        first_measured = first + load.warmup
        rows[first:first_measured, columns["phase"]] = Phase.WARMUP
        if isinstance(load, Closed):
            self._count_scheduled(plan.measured)
            limit_ns = load.duration or 0
            command = LoadCommand(
                first, last, "closed", concurrency=load.concurrency, stop_after_ns=limit_ns, timed_from=first_measured
            )
            await self._carry_out(command, "running", others)
            if load.duration and self._running().issued == last:
                raise self._out_of_rows(first_measured, last, load.duration)
        else:
            assert rate_rps is not None
            self._offered_rps = rate_rps
            due = plan.due_times(rate_rps, block)
            last = first + len(due)
            self._count_scheduled(last - first_measured)
            rows[first:last, columns["due"]] = due
            shed, start_ns = plan.scenario.on_full == "shed", now_ns() + LEAD_NS
            await self._carry_out(LoadCommand(first, last, "scheduled", start_ns, shed=shed), "running", others, due)

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
        records, workers = self._records(), self._executor.workers if self._executor else ()
        self._executor = None
        return Execution(
            plan=self.plan,
            records=records,
            status=ending.status,
            workers=workers,
            started_at=self._started_at,
            capacity_rps=self.capacity_rps,
            offered_rps=self._offered_rps,
            error=ending.error,
            signal=ending.signal,
            scheduled=self._scheduled,
            host=asdict(self._host) if self._host else {},
            counted=(np.array(self._counted_at, np.int64), np.array(self._counted, np.int64)),
        )

    def _running(self) -> Executor:
        assert self._executor is not None, "start it first"
        return self._executor

    async def _carry_out(
        self,
        command: LoadCommand,
        phase: Literal["calibrating", "running"],
        others: Sequence[Failure] = (),
        due: NDArray[np.int64] | None = None,
    ) -> None:
        """Issue, and wait until every issued request has ended. due: of a schedule, from its start."""
        executor = self._running()
        outcome = executor.rows[:, self.plan.layout.columns["outcome"]]
        deadline_ns = self.plan.scenario.deadlines.progress
        failures = (executor.failure, *others)
        pending = ended = command.first
        changed = now_ns()
        total = None if command.stop_after_ns else command.last - command.first
        self._reporter.begin(phase)
        executor.issue(command)
        while executor.issuing or ended < executor.issued:
            await asyncio.wait(failures, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            for failure in failures:
                if failure.done():
                    raise failure.result()
            at = now_ns()
            issued = max(executor.issued, command.first)  # once: the producer goes on meanwhile
            window = outcome[pending:issued]
            now_ended = pending + int(np.count_nonzero(window))
            pending += int(np.argmin(window != 0)) if now_ended < issued else len(window)
            if phase == "running":
                self._counted_at.append(at)
                self._counted.append(issued - now_ended)
            now = now_ns()
            row = issued - command.first
            idle = due is not None and row < len(due) and command.start_ns + int(due[row]) > now
            if now_ended > ended or (now_ended >= issued and idle):  # nothing is in flight: the next is not due yet
                ended, changed = now_ended, now
            elif now - changed > deadline_ns:
                raise StalledError(
                    f"no request ended for {deadline_ns / 1e9:g} s while {issued - ended} were in flight",
                    where="deadlines.progress",
                    hint="A stage or the producer hangs, or a service takes longer than this deadline: then raise it.",
                )
            if self._reporter.due():
                executor.sample()
                self._reporter.tell(executor.rows[command.first : issued], ended - command.first, total)

    def _count_scheduled(self, measured: int | None) -> None:
        self._scheduled = None if measured is None else (self._scheduled or 0) + measured

    def _out_of_rows(self, first_measured: int, last: int, duration_ns: int) -> RunFailed:
        """The error of a load that has filled its records before its time was over."""
        due = self._running().rows[[first_measured, last - 1], self.plan.layout.columns["due"]]
        return RunFailed(
            f"there is memory for {last - first_measured:,} measured requests, and that many were issued after"
            f" {(due[1] - due[0]) / 1e9:.3g} s of {duration_ns / 1e9:g} s",
            where="load.duration",
            hint="Shorten it, lower load.concurrency, or free memory; what was measured until then is saved.",
        )

    def _records(self) -> RunRecords:
        """The issued requests. One that had not ended, stamps and all, when the pipeline did is aborted."""
        layout = self.plan.layout
        if self._executor is None:
            return RunRecords(layout, np.empty((0, layout.width), np.int64), {})
        rows = self._executor.rows[: max(self._executor.issued, 0) + 1]
        offered, outcome = layout.base(0) + OFFERED, layout.columns["outcome"]
        kept = np.flatnonzero(rows[:, offered])
        rows = rows[kept].copy()
        rows[rows[:, outcome] == Outcome.PENDING, outcome] = Outcome.ABORTED
        rows[self._unstamped(rows), outcome] = Outcome.ABORTED
        place = {row: int(np.searchsorted(kept, row)) for row in self._executor.failures}
        failures = {place[r]: why for r, why in self._executor.failures.items() if r in kept[place[r] : place[r] + 1]}
        return RunRecords(layout, rows, failures)

    def _unstamped(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Completed requests that lack a stamp: a worker hands a request on before it writes its last ones, and may be
        killed between."""
        columns = self.plan.layout.columns
        lacking = np.zeros(len(rows), np.bool_)
        for stage in self.plan.layout.names:
            for stamp in STAMPS:
                lacking |= rows[:, columns[f"{stage}.{stamp}"]] == 0
        lacking &= rows[:, columns["outcome"]] == Outcome.COMPLETED
        return lacking


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
            "the calibration was too short to find the capacity",
            where="load.calibration",
            hint="Make it longer, or set load.rate.",
        )
    seconds = (times - times[0]) / 1e9
    return float(np.polyfit(seconds, np.arange(len(seconds)), 1)[0])
