"""One round: a scenario, what surrounds the command, what is done to it at which moment, and what has to hold then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.pipelines import PROGRESS_S, STARTUP_S, Pipeline
from benchmarks.faults.running import Running
from harness.records import RunRecords

AT_ONCE_S = 10.0
"""From a signal, a death or an error to the end of the command: stopping, summary, saving, on a busy machine."""
COMPLETED, FAILED, REFUSED, INTERRUPTED, HUNG_UP, TERMINATED = 0, 1, 2, 130, 129, 143


class CannotInjectError(Exception):
    """This fault cannot be had here, such as a mount without root."""


@dataclass(frozen=True)
class Expected:
    """What has to hold. The end is counted from the injection.

    codes: the exit codes of a run that did not complete. A SIGKILL among them is one of the command itself: nothing has
    to be saved then, and an unfinished folder may stay. if_completed: those of one whose load had come to its end.
    saved: whether a run's folder that loads must be there; None: if the run had begun. hangs: threads that nothing can
    end may be left when the process exits. leaves: processes and descriptors may be, which are a stage's and not the
    tool's to end. starved: while it still imports, Python may say in its own words what it lacks. wrong: looks at the
    saved records for what else must hold, and says what does not.
    """

    codes: frozenset[int]
    if_completed: frozenset[int] = frozenset({COMPLETED})
    within_s: float = AT_ONCE_S
    saved: bool | None = True
    hangs: bool = False
    leaves: bool = False
    starved: bool = False
    wrong: Callable[[RunRecords], str] = lambda records: ""


def expected(*codes: int, **more: Any) -> Expected:
    """Short for Expected with these exit codes."""
    return Expected(frozenset(codes), **more)


def to_its_end(pipeline: Pipeline, *codes: int, **more: Any) -> Expected:
    """The run ends by itself, in the time that its start and its load may take."""
    return expected(*codes, **{"within_s": STARTUP_S + pipeline.load_s + AT_ONCE_S, **more})


def by_the_deadline(pipeline: Pipeline, **more: Any) -> Expected:
    """Something hangs: the progress deadline ends the run, or the grace at the end does."""
    return expected(FAILED, within_s=pipeline.load_s + PROGRESS_S + AT_ONCE_S, **more)


Inject = Callable[[Running], Expected]


@dataclass(frozen=True)
class Trial:
    """A fault that was drawn for a pipeline.

    inject: called when the command has started; returns once it is done. prefix: words in front of the command, with
    {place} for the round's folder. files: by name, in that folder. around: given the folder, what holds while the
    command runs (a mount, a control group).
    """

    pipeline: Pipeline
    inject: Inject
    what: str
    prefix: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    files: dict[str, str | bytes] = field(default_factory=dict)
    around: Callable[[Path], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class Fault:
    """A kind of fault. draw: makes a Trial of a random pipeline. unable: says why it cannot be injected here, or ""."""

    name: str
    draw: Callable[[Pipeline, Random], Trial]
    executors: Sequence[str] = ("process", "asyncio")
    unable: Callable[[], str] = lambda: ""
    weight: int = 1


def moment(pipeline: Pipeline, rng: Random) -> Callable[[Running], None]:
    """A wait until a random moment, from the first instruction to behind the last request."""
    early, before_s = rng.random() < 0.25, rng.uniform(0, 2.0)
    into_s = rng.uniform(0, pipeline.load_s + 0.7)

    def wait(running: Running) -> None:
        if early:
            running.sleep(before_s)
        else:
            running.until("running:")
            running.sleep(into_s)

    return wait


def under_way(pipeline: Pipeline, rng: Random) -> Callable[[Running], None]:
    """A wait until some requests are under way."""
    into_s = rng.uniform(0, 0.5 * pipeline.load_s)

    def wait(running: Running) -> None:
        running.until("running:")
        running.sleep(into_s)

    return wait
