"""A run from start to end, the same for every engine: signals, failures, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import signal
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from harness.errors import HarnessError, RunFailed
from harness.executors.base import Ending, Execution
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Observer
from harness.plan import Plan, offered_rate
from harness.scenario.model import Closed

Result = TypeVar("Result")


def execute(plan: Plan, observe: Observer = lambda progress: None, observe_every_s: float = 0.5) -> Execution:
    """Run a Plan on its executor. Never raises a HarnessError: the Execution says how the run ended.

    Handles SIGINT and SIGTERM while it lasts. Whatever happens, nothing that it started is left when it returns.
    """

    async def session() -> Execution:
        pipeline = OpenPipeline(plan, observe, observe_every_s)
        ending = await carried_out(_run(pipeline), pipeline.stop)
        return pipeline.execution(ending)

    return in_loop(session(), precise=plan.scenario.executor == "asyncio")


async def _run(pipeline: OpenPipeline) -> None:
    plan = pipeline.plan
    await pipeline.start()
    if plan.calibrates:
        await pipeline.calibrate()
    rate_rps = None if isinstance(plan.load, Closed) else offered_rate(plan, pipeline.capacity_rps)
    pipeline.begin()
    await pipeline.play(0, rate_rps)


def in_loop(work: Coroutine[Any, Any, Result], *, precise: bool) -> Result:
    """Run a coroutine in a loop of its own. precise: timers finer than epoll's whole milliseconds."""
    with asyncio.Runner(loop_factory=_select_loop if precise else None) as runner:
        return runner.run(work)


def _select_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def carried_out(work: Coroutine[Any, Any, None], clear_up: Callable[[], Awaitable[None]]) -> Ending:
    """Do the work, then clear up, however it went. SIGINT and SIGTERM end the work, and wait while it clears up."""
    task = asyncio.create_task(work)
    with _signals(task) as received:
        try:
            await task
        except HarnessError as error:
            ending = Ending("failed", error)
        except asyncio.CancelledError:
            ending = Ending("interrupted")
        except Exception as error:  # whatever it was, what has been measured is saved and nothing is left running
            failed = RunFailed(f"{type(error).__name__}: {error}")
            failed.details = traceback.format_exc()
            ending = Ending("failed", failed)
        else:
            ending = Ending("completed")
        finally:
            await clear_up()
    return Ending(ending.status, ending.error, received[0] if received else 0)


@contextlib.contextmanager
def _signals(task: asyncio.Task[None]) -> Iterator[list[int]]:
    """Within, a signal cancels the task; yields those that came."""
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread
            loop.add_signal_handler(number, stop, number)
            handled.append(number)
    try:
        yield received
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
