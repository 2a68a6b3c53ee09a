"""A run from start to end, the same for every executor: signals, failures, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import selectors
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Any, TypeVar

from harness.errors import HarnessError, RunFailed
from harness.executors.base import Ending, Execution
from harness.executors.kind import kind_of
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Observer
from harness.executors.recorder import TEMPORARY, Destination
from harness.interruption import held
from harness.plan import Plan, offered_rate
from harness.scenario.model import Closed

Result = TypeVar("Result")


def execute(
    plan: Plan,
    observe: Observer = lambda progress: None,
    observe_every_s: float = 0.5,
    destination: Destination = TEMPORARY,
) -> Execution:
    """Run a Plan on its executor. Never raises a HarnessError: the Execution says how the run ended.

    destination: of records that are more than lie in memory. A signal (see harness.interruption) ends it. Whatever
    happens, nothing that it started is left when it returns.
    """

    async def session() -> Execution:
        pipeline = OpenPipeline(plan, observe, observe_every_s, destination)
        ending = await run_to_completion(_run(pipeline), pipeline.stop)
        return pipeline.execution(ending)

    with held():
        return in_loop(session, precise=kind_of(plan).precise_timers)


async def _run(pipeline: OpenPipeline) -> None:
    plan = pipeline.plan
    await pipeline.start()
    if plan.saturates_first:
        await pipeline.saturate()
    rate_rps = None if isinstance(plan.load, Closed) else offered_rate(plan, pipeline.saturated_rps)
    pipeline.begin()
    await pipeline.play(0, rate_rps)


def in_loop(work: Callable[[], Coroutine[Any, Any, Result]], *, precise: bool) -> Result:
    """Run a coroutine in a loop of its own. precise: timers finer than epoll's whole milliseconds.

    Where a loop runs in this thread already (Jupyter's), the coroutine runs in another thread, and this one waits for
    it. Signals come to this one, and are passed on as `held` says. The other one lasts until the coroutine has ended:
    the kernel kills the children of a thread that ends.
    """
    if not _loop_is_running():
        return _in_loop(work, precise)
    with ThreadPoolExecutor(1, "harness") as thread:
        return thread.submit(copy_context().run, _in_loop, work, precise).result()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_loop(work: Callable[[], Coroutine[Any, Any, Result]], precise: bool) -> Result:
    with asyncio.Runner(loop_factory=_select_loop if precise else None) as runner:
        return runner.run(work())


def _select_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def run_to_completion(
    work: Coroutine[Any, Any, None], clear_up: Callable[[asyncio.Event], Awaitable[None]]
) -> Ending:
    """Do the work, then clear up, however it went. A signal ends the work; one that comes while it clears up sets the
    event that `clear_up` is given: it should then wait for nothing that can be killed instead.
    """
    loop, task, hurry = asyncio.get_running_loop(), asyncio.create_task(work), asyncio.Event()

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop, another thread's, has ended meanwhile
            loop.call_soon_threadsafe(hurry.set if task.done() else task.cancel)

    with held() as interruption:
        with interruption.listening(stop):
            try:
                await task
            except HarnessError as error:
                # it is the user's to act on, and the frames that it has come through hold the memory of the run
                error.__traceback__ = error.__context__ = error.__cause__ = None
                ending = Ending("failed", error)
            except asyncio.CancelledError:
                ending = Ending("interrupted")
            except Exception as error:  # whatever it was, what has been measured is saved and nothing is left running
                ending = Ending("failed", _unexpected(error))
            else:
                ending = Ending("completed")
            try:
                await clear_up(hurry)
            except Exception as error:
                ending = ending if ending.error else Ending("failed", _unexpected(error))
        return replace(ending, signal=interruption.take()) if ending.status == "interrupted" else ending


def _unexpected(error: Exception) -> HarnessError:
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        failed = RunFailed(
            f"too many open files: {error.strerror}", hint="Raise `ulimit -n`, or use fewer stages and workers."
        )
    else:
        failed = RunFailed(f"{type(error).__name__}: {error}")
    failed.details = traceback.format_exc()
    return failed
