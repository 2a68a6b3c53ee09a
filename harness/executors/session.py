"""A run from start to end, the same for every engine: start, calibrate, load, drain, stop; deadlines and signals."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness import host
from harness.clock import now_ns
from harness.errors import HarnessError, RunFailed, ScenarioError, StalledError
from harness.executors.base import Engine, Execution, Issue
from harness.executors.inprocess.thread import ComputeThread
from harness.memory import budget
from harness.plan import CALIBRATION_ROWS, Plan, offered_rate
from harness.records import Outcome, Phase, RunRecords
from harness.scenario.model import Closed
from harness.stages import source

LEAD_NS = 20_000_000  # between the command to issue and the start of the schedule
POLL_S = 0.02


@dataclass(frozen=True)
class Progress:
    """Where a run stands. rows: the live records of the phase so far; to be looked at, not changed."""

    phase: Literal["starting", "calibrating", "running"]
    plan: Plan
    rows: NDArray[np.int64]
    total: int | None
    ended: int
    depths: list[int]
    elapsed_s: float


Observer = Callable[[Progress], None]


def execute(plan: Plan, observe: Observer = lambda progress: None, observe_every_s: float = 0.5) -> Execution:
    """Run a Plan on its executor. Never raises a HarnessError: the Execution says how the run ended.

    Handles SIGINT and SIGTERM while it lasts. Whatever happens, nothing that it started is left when it returns.
    """
    precise = plan.scenario.executor == "asyncio"  # epoll's timers have whole milliseconds, select's have none of that
    with asyncio.Runner(loop_factory=_select_loop if precise else None) as runner:
        return runner.run(_Session(plan, observe, observe_every_s).run())


def _select_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class _Session:
    def __init__(self, plan: Plan, observe: Observer, observe_every_s: float) -> None:
        self._plan = plan
        self._observe = observe
        self._observe_every_ns = int(observe_every_s * 1e9)
        self._engine: Engine | None = None
        self._images: source.ImageSet | None = None
        self._capacity_rps: float | None = None
        self._offered_rps: float | None = None
        self._scheduled: int | None = None
        self._signal = 0
        self._counters: host.Counters | None = None

    async def run(self) -> Execution:
        started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        main = asyncio.create_task(self._main())
        status: Literal["completed", "failed", "interrupted"] = "completed"
        failed: HarnessError | None = None
        interval: host.Interval | None = None
        with self._signals(main):
            try:
                await main
            except HarnessError as error:
                status, failed = "failed", error
            except asyncio.CancelledError:
                status = "interrupted"
            except Exception as error:  # whatever it was, what has been measured is saved and nothing is left running
                status, failed = "failed", RunFailed(f"{type(error).__name__}: {error}")
                failed.details = traceback.format_exc()
            finally:
                interval = host.Counters.snapshot().since(self._counters) if self._counters else None
                if self._engine is not None:
                    self._engine.sample()
                    await self._engine.stop()
                if self._images is not None:
                    self._images.close()
        return Execution(
            plan=self._plan,
            records=self._records(),
            status=status,
            workers=self._engine.workers if self._engine else (),
            started_at=started_at,
            capacity_rps=self._capacity_rps,
            offered_rps=self._offered_rps,
            error=failed,
            signal=self._signal,
            scheduled=self._scheduled,
            host=asdict(interval) if interval else {},
        )

    @contextlib.contextmanager
    def _signals(self, main: asyncio.Task[None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            self._signal = self._signal or number
            main.cancel()

        handled = []
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread
                loop.add_signal_handler(number, stop, number)
                handled.append(number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    async def _main(self) -> None:
        plan = self._plan
        self._report("starting", 0, 0, None, now_ns())
        try:
            async with asyncio.timeout(plan.scenario.deadlines.startup / 1e9):
                if plan.reads_images:
                    seeds = plan.seed("content"), plan.seed("images")
                    self._images = await ComputeThread("images").call(source.load, plan.scenario.source, *seeds)
                engine = self._engine = _engine(plan, self._images)
                await engine.start()
        except TimeoutError:
            waited_for = "every worker was" if self._engine else "the images were"
            raise StalledError(
                f"not {waited_for} ready after {plan.scenario.deadlines.startup / 1e9:g} s",
                where="deadlines.startup",
                hint="Raise it, if a model takes longer to load and compile.",
            ) from None
        if plan.calibrates:
            await self._calibrate(engine)
        engine.sample()
        self._counters = host.Counters.snapshot()
        await self._load(engine)

    async def _calibrate(self, engine: Engine) -> None:
        plan = self._plan
        assert not isinstance(plan.load, Closed)
        phase, due = (plan.layout.columns[c] for c in ("phase", "due"))
        engine.rows[:CALIBRATION_ROWS, phase] = Phase.CALIBRATION
        command = Issue(0, CALIBRATION_ROWS, "saturate", stop_after_ns=plan.load.calibration, timed_from=0)
        await self._play(engine, command, "calibrating")
        issued = engine.rows[: engine.issued]
        done = issued[issued[:, plan.layout.columns["outcome"]] == Outcome.COMPLETED]
        if not len(done):
            why = next(iter(engine.failures.values()), "no reason was given")
            raise RunFailed(f"every request of the calibration failed: {why}", where="load.calibration")
        self._capacity_rps = saturated_rate(
            done[:, plan.layout.columns[f"{plan.layout.stages[-1]}.done"]], issued[-1, due]
        )

    async def _load(self, engine: Engine) -> None:
        plan, load = self._plan, self._plan.load
        columns = plan.layout.columns
        last = plan.max_rows
        if not isinstance(load, Closed):
            self._offered_rps = offered_rate(plan, self._capacity_rps)
            due = plan.due_times(self._offered_rps)
            last = plan.first_row + len(due)
            engine.rows[plan.first_row : last, columns["due"]] = due + now_ns() + LEAD_NS
        engine.rows[plan.first_row : plan.first_measured, columns["phase"]] = Phase.WARMUP
        if isinstance(load, Closed):
            stop = load.duration or 0
            command = Issue(
                plan.first_row, last, "closed", load.concurrency, stop_after_ns=stop, timed_from=plan.first_measured
            )
            self._scheduled = plan.measured
        else:
            self._scheduled = last - plan.first_measured
            command = Issue(plan.first_row, last, "scheduled", shed=plan.scenario.on_full == "shed")
        await self._play(engine, command, "running")

    async def _play(self, engine: Engine, command: Issue, phase: Literal["calibrating", "running"]) -> None:
        """Issue, and wait until every issued request has ended."""
        outcome = engine.rows[:, self._plan.layout.columns["outcome"]]
        deadline_ns = self._plan.scenario.deadlines.progress
        pending = ended = command.first
        begun = changed = observed = now_ns()
        total = None if command.stop_after_ns else command.last - command.first
        engine.issue(command)
        while engine.issuing or ended < engine.issued:
            await asyncio.wait([engine.failure], timeout=POLL_S)
            if engine.failure.done():
                raise engine.failure.result()
            issued = max(engine.issued, command.first)  # once: the producer goes on meanwhile
            window = outcome[pending:issued]
            now_ended = pending + int(np.count_nonzero(window))
            pending += int(np.argmin(window != 0)) if now_ended < issued else len(window)
            now = now_ns()
            if now_ended > ended or (now_ended >= issued and self._idle(command, issued, now)):
                ended, changed = now_ended, now
            elif now - changed > deadline_ns:
                raise StalledError(
                    f"no request ended for {deadline_ns / 1e9:g} s while {issued - ended} were in flight",
                    where="deadlines.progress",
                    hint="A stage or the producer hangs, or a service takes longer than this deadline: then raise it.",
                )
            if now - observed >= self._observe_every_ns:
                observed = now
                engine.sample()
                self._report(phase, command.first, ended, total, begun)

    def _idle(self, command: Issue, issued: int, now: int) -> bool:
        """Whether nothing is in flight because nothing is due yet."""
        if command.mode != "scheduled" or issued >= command.last or self._engine is None:
            return False
        return int(self._engine.rows[issued, self._plan.layout.columns["due"]]) > now

    def _report(
        self,
        phase: Literal["starting", "calibrating", "running"],
        first: int,
        ended: int,
        total: int | None,
        begun: int,
    ) -> None:
        engine = self._engine
        rows = (
            engine.rows[first : max(engine.issued, first)]
            if engine
            else np.empty((0, self._plan.layout.width), np.int64)
        )
        progress = Progress(
            phase, self._plan, rows, total, ended - first, self._waiting(rows), (now_ns() - begun) / 1e9
        )
        try:
            self._observe(progress)
        except OSError:  # whoever watched is gone; the measurement goes on
            self._observe = lambda progress: None

    def _waiting(self, rows: NDArray[np.int64]) -> list[int]:
        """How many requests lie ready in front of each stage. rows: issued; only the last few can be unfinished."""
        columns = self._plan.layout.columns
        recent = rows[-sum(2 * s.capacity + s.workers * s.batch_max for s in self._plan.stages) :]
        recent = recent[recent[:, columns["outcome"]] == Outcome.PENDING]
        ready = recent[:, self._plan.layout.base(0) + 1] > 0
        waiting = []
        for stage in self._plan.stages:
            taken = recent[:, columns[f"{stage.name}.taken"]] > 0
            waiting.append(int(np.count_nonzero(ready & ~taken)))
            ready = recent[:, columns[f"{stage.name}.done"]] > 0
        return waiting

    def _records(self) -> RunRecords:
        """The issued requests. One that had not ended when the run did is aborted."""
        layout = self._plan.layout
        if self._engine is None:
            return RunRecords(layout, np.empty((0, layout.width), np.int64), {})
        rows = self._engine.rows[: max(self._engine.issued, 0) + 1]
        offered, outcome = layout.base(0), layout.columns["outcome"]
        kept = np.flatnonzero(rows[:, offered])
        rows = rows[kept].copy()
        rows[rows[:, outcome] == Outcome.PENDING, outcome] = Outcome.ABORTED
        index = {int(row): i for i, row in enumerate(kept)}
        failures = {index[r]: why for r, why in self._engine.failures.items() if r in index}
        return RunRecords(layout, rows, failures)


def _engine(plan: Plan, images: source.ImageSet | None) -> Engine:
    if plan.shared_bytes > budget():
        raise ScenarioError(
            f"slots and records take {plan.shared_bytes / 2**30:.1f} GiB, more than 60 % of the free memory",
            where=plan.scenario.name,
            hint="Lower a stage's capacity or payload, or the number of requests.",
        )
    if plan.scenario.executor == "asyncio":
        from harness.executors.inprocess.engine import InProcessEngine

        return InProcessEngine(plan, images)
    from harness.executors.process.engine import ProcessEngine

    return ProcessEngine(plan, images)


def saturated_rate(done_ns: NDArray[np.int64], last_due_ns: int) -> float:
    """Completions per second of a saturated pipeline, from when it is full until the last request was offered.

    done_ns: completion times of its requests. The slope of their rank over time, by least squares: batches complete
    in steps, and a rate between two single completions would depend on where in a step they lie.
    """
    times = np.sort(done_ns[done_ns <= last_due_ns])
    times = times[len(times) // 5 :]
    if len(times) < 3 or times[-1] == times[0]:
        times = np.sort(done_ns)
    if len(times) < 2 or times[-1] == times[0]:
        raise StalledError(
            "the calibration was too short to find the capacity",
            where="load.calibration",
            hint="Make it longer, or set load.rate.",
        )
    seconds = (times - times[0]) / 1e9
    return float(np.polyfit(seconds, np.arange(len(seconds)), 1)[0])
