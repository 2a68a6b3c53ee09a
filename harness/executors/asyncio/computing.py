"""What a worker's thread does besides serving: it opens its stage, times calls, and says what went wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from harness.clock import now_ns
from harness.errors import StageFailed
from harness.executors.asyncio.thread import EscapedError
from harness.host import placement
from harness.plan import StagePlan
from harness.stages import Opened, Stage, StageOptions, threads


def open_stage(instance: Stage, options: StageOptions) -> Opened:
    """Open a stage in its thread, pinned first: libraries' threads that it starts inherit the CPUs."""
    if options.cpus:
        placement.pin_thread(options.cpus)
    return threads.opened(instance, options, placement.of_thread)


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[int, int, Any]:
    """When a call began and ended, ns, and what it returned."""
    started = now_ns()
    result = function(*arguments)
    return started, now_ns(), result


def stage_failed(stage: StagePlan, name: str, error: BaseException, requests: Sequence[str]) -> StageFailed:
    """The error of a run whose stage raised this. name: the worker's; requests: those that it held."""
    error = error.raised if isinstance(error, EscapedError) else error
    where = f"stage {stage.name}, thread {name}"
    if requests:
        where += f", {'request' if len(requests) == 1 else 'requests'} {', '.join(requests[:4])}"
    failed = StageFailed(f"{type(error).__name__}: {error}", where=where)
    failed.details = str(failed) + "\n" + "".join(traceback.format_exception(error))
    return failed
