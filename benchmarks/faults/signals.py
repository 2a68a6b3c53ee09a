"""Signals to the command and to its processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from random import Random

from benchmarks.faults.pipelines import Pipeline
from benchmarks.faults.running import Running
from benchmarks.faults.trial import (
    COMPLETED,
    FAILED,
    HUNG_UP,
    INTERRUPTED,
    TERMINATED,
    Expected,
    Trial,
    by_the_deadline,
    expected,
    moment,
    to_its_end,
    under_way,
)

ENDS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED, signal.SIGHUP: HUNG_UP}
GAPS_S = (0.001, 0.5)


def killed_child(pipeline: Pipeline, rng: Random) -> Trial:
    """SIGKILL of the producer or a worker."""
    wait, share = moment(pipeline, rng), rng.random()

    def inject(running: Running) -> Expected:
        wait(running)
        return killing(running, pipeline, share)

    return Trial(pipeline, inject, "SIGKILL of the producer or a worker")


def killing(running: Running, pipeline: Pipeline, share: float) -> Expected:
    """Kill a child now."""
    victim = running.child(share)
    running.now()
    if victim is None:
        return to_its_end(pipeline, saved=None)
    with contextlib.suppress(OSError):
        os.kill(victim, signal.SIGKILL)
    return expected(FAILED)


def killed_supervisor(pipeline: Pipeline, rng: Random) -> Trial:
    """SIGKILL of the command itself."""
    wait = moment(pipeline, rng)

    def inject(running: Running) -> Expected:
        wait(running)
        running.now()
        running.signal(signal.SIGKILL)
        return expected(-signal.SIGKILL, saved=False)

    return Trial(pipeline, inject, "SIGKILL of the supervisor")


def one_signal(pipeline: Pipeline, rng: Random) -> Trial:
    """SIGINT, SIGTERM or SIGHUP."""
    return _signalled(pipeline, rng, [rng.choice(list(ENDS))], 0)


def two_signals(pipeline: Pipeline, rng: Random) -> Trial:
    """Two of them, mostly the same, 1 to 500 ms apart."""
    first = rng.choice(list(ENDS))
    second = first if rng.random() < 0.7 else rng.choice(list(ENDS))
    shortest_s, longest_s = GAPS_S
    return _signalled(pipeline, rng, [first, second], shortest_s * (longest_s / shortest_s) ** rng.random())


def _signalled(pipeline: Pipeline, rng: Random, numbers: list[signal.Signals], gap_s: float) -> Trial:
    wait, group = moment(pipeline, rng), rng.random() < 0.5

    def inject(running: Running) -> Expected:
        wait(running)
        return signalling(running, numbers, gap_s, group=group)

    gap = f", {gap_s * 1e3:.0f} ms apart" if len(numbers) > 1 else ""
    return Trial(pipeline, inject, " and ".join(n.name for n in numbers) + gap)


def signalling(running: Running, numbers: list[signal.Signals], gap_s: float, *, group: bool) -> Expected:
    """Send them now."""
    begun = running.begun
    running.now()
    for index, number in enumerate(numbers):
        if index:
            running.sleep(gap_s)
        running.signal(number, group=group)
    documented = {ENDS[number] for number in numbers}
    by_itself = {-number for number in numbers}
    # before the run has begun Python has the signals, and none of a run's; behind it, too
    codes = documented if begun else documented | by_itself
    return expected(*codes, if_completed=frozenset({COMPLETED, *documented, *by_itself}), saved=begun)


def stopped(pipeline: Pipeline, rng: Random) -> Trial:
    """SIGSTOP of the producer or a worker, for ever."""
    wait, share = under_way(pipeline, rng), rng.random()

    def inject(running: Running) -> Expected:
        wait(running)
        victim = running.child(share)
        running.now()
        if victim is None:
            return to_its_end(pipeline)
        with contextlib.suppress(OSError):
            os.kill(victim, signal.SIGSTOP)
        return by_the_deadline(pipeline)

    return Trial(pipeline, inject, "SIGSTOP of the producer or a worker")


def paused(pipeline: Pipeline, rng: Random) -> Trial:
    """SIGSTOP of any process, and SIGCONT a moment later: the run goes on."""
    wait, share, seconds = moment(pipeline, rng), rng.random(), rng.uniform(0.05, 1.2)
    whole = pipeline.executor == "asyncio" or rng.random() < 0.3

    def inject(running: Running) -> Expected:
        wait(running)
        victim = running.process.pid if whole else running.child(share)
        if victim is not None:
            _pause(running, victim, seconds)
        running.now()
        return to_its_end(pipeline)

    return Trial(pipeline, inject, f"SIGSTOP, SIGCONT after {seconds:.2f} s")


def _pause(running: Running, victim: int, seconds: float) -> None:
    with contextlib.suppress(OSError):
        os.kill(victim, signal.SIGSTOP)
        running.sleep(seconds)
        os.kill(victim, signal.SIGCONT)


Ending = Callable[[Running], Expected]


def some_end(pipeline: Pipeline, rng: Random, *, kills: bool = True) -> tuple[str, Ending]:
    """How a run ends that has something else wrong with it already. kills: SIGKILL of the supervisor, too."""
    number, gap_s, share = rng.choice(list(ENDS)), rng.uniform(0.001, 0.3), rng.random()

    def by_kill(running: Running) -> Expected:
        running.now()
        running.signal(signal.SIGKILL)
        return expected(-signal.SIGKILL, saved=False)

    ways: dict[str, Ending] = {
        number.name: lambda running: signalling(running, [number], 0, group=False),
        f"{number.name} twice": lambda running: signalling(running, [number] * 2, gap_s, group=False),
    }
    if pipeline.executor == "process":
        ways["SIGKILL of a child"] = lambda running: killing(running, pipeline, share)
    if kills:
        ways["SIGKILL of the supervisor"] = by_kill
    name = rng.choice(list(ways))
    return name, ways[name]
