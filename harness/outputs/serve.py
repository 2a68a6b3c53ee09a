"""The side that starts the process, watches it, and gets the outputs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import BAD_USAGE, HarnessError, RunFailed, ScenarioError, StageFailed, StalledError
from harness.executors.process.supervised import printed, start
from harness.host.memory import usable_bytes
from harness.lifeline import kill_marked, new_mark, pack
from harness.memory import allocate, attach
from harness.outputs.child import Instructions
from harness.plan import Plan, StagePlan
from harness.scenario.model import Deadlines
from harness.stages.source import ImageSet

POLL_S = 0.02


@dataclass(frozen=True)
class Outputs:
    """What a pipeline made of n images.

    values: (n, *shape), the outputs of the stage that was asked for. answers: (n,) int64, -1 where there is none.
    served: (n,) bool. failures: why an image was not served, by its index. effective, startup_s: by stage.
    """

    values: NDArray[Any]
    answers: NDArray[np.int64]
    served: NDArray[np.bool_]
    failures: Mapping[int, str]
    effective: Mapping[str, Mapping[str, Any]]
    startup_s: Mapping[str, Mapping[str, float]]
    seconds: float
    """From the first image to the last; not a measurement: nothing was kept from disturbing it."""


def serve(
    plan: Plan,
    stages: Sequence[StagePlan],
    images: Any,
    kept: int,
    observe: Callable[[int], None] = lambda done: None,
) -> Outputs:
    """Take all images through these stages, the first ones of a Plan, and keep the outputs of the one at `kept`.

    images: an ImageSet, or anything that is indexed and raises RequestError. observe is called with the number of
    images that are through. Raises what the process met as a HarnessError; the process has ended when this returns.
    """
    count, output = len(images), stages[kept].output
    nbytes = count * (8 + output.nbytes)
    usable = usable_bytes()
    if nbytes > usable:
        raise RunFailed(
            f"the outputs for {count:,} images take {nbytes / 2**30:.1f} GiB, and {usable / 2**30:.1f} may be used",
            hint="Use fewer images.",
        )
    fd = allocate(nbytes, "harness-outputs")
    try:
        memory = attach(fd, nbytes)
        answers = np.frombuffer(memory, np.int64, count)
        shape = (count, *output.shape)
        values = np.frombuffer(memory, output.dtype, int(np.prod(shape)), offset=count * 8).reshape(shape)
        answers[:] = -1
        names = tuple(stage.name for stage in stages)
        told = Instructions(-1, names, tuple(map(plan.context, stages)), images, kept, fd, nbytes)
        threads = max(stage.options.threads for stage in stages)
        failures: dict[int, str] = {}
        effective: dict[str, Mapping[str, Any]] = {}
        startup_s: dict[str, Mapping[str, float]] = {}
        begun = time.monotonic()
        for event in _events(told, threads, plan.scenario.deadlines):
            match event["event"]:
                case "opened":
                    effective[event["stage"]], startup_s[event["stage"]] = event["effective"], event["startup_s"]
                case "ready":
                    begun = time.monotonic()
                case "request failed":
                    failures[event["row"]] = event["reason"]
                case "served":
                    observe(event["count"])
        observe(count)
    finally:
        os.close(fd)
    served = np.ones(count, np.bool_)
    served[list(failures)] = False
    return Outputs(values, answers, served, failures, effective, startup_s, time.monotonic() - begun)


def _events(told: Instructions, threads: int, deadlines: Deadlines) -> Iterator[dict[str, Any]]:
    """The events of a process until it is done. Raises what ended it before that."""
    read_fd, write_fd = os.pipe()
    told = replace(told, events_fd=write_fd)
    fds = (write_fd, told.fd, *((told.images.fd,) if isinstance(told.images, ImageSet) else ()))
    with tempfile.TemporaryFile() as log, os.fdopen(read_fd, "rb", buffering=0) as events:
        mark = new_mark()
        try:
            process = start("harness.outputs.child", threads, fds, mark, log)
        finally:
            os.close(write_fd)
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended: how, is told below
                process.stdin.write(pack(told))
            stage, last = "", ""
            for event in _lines(events, process.pid, deadlines):
                last, stage = event["event"], event.get("stage", stage)
                if last in ("crashed", "refused"):
                    raise _error(event, stage, log)
                yield event
            if last != "done":
                raise _death(process.wait(), stage, log)
        finally:
            process.kill()
            kill_marked(mark)
            process.wait()
            process.stdin.close()


def _lines(events: IO[bytes], pid: int, deadlines: Deadlines) -> Iterator[dict[str, Any]]:
    """Each event as it comes, until the process ends; what it has started itself may hold the pipe open for longer.

    Raises StalledError when it is not ready, or no image through, within the deadline.
    """
    rest, ready, begun = b"", False, time.monotonic()
    while True:
        allowed_s = (deadlines.progress if ready else deadlines.startup) / 1e9
        until = time.monotonic() + allowed_s if ready else begun + allowed_s
        while not select.select([events], [], [], POLL_S)[0]:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) and not _readable(events):
                return
            if time.monotonic() < until:
                continue
            raise StalledError(
                f"no image was served for {allowed_s:g} s" if ready else f"not ready after {allowed_s:g} s",
                where=f"deadlines.{'progress' if ready else 'startup'}",
                hint="Raise it, if a model takes longer.",
            )
        data = events.read(2**16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            ready = ready or event["event"] == "ready"
            yield event


def _readable(events: IO[bytes]) -> bool:
    return bool(select.select([events], [], [], 0)[0])


def _error(event: Mapping[str, Any], stage: str, log: IO[bytes]) -> HarnessError:
    if event["event"] == "refused":
        refusal = ScenarioError if event["exit_code"] == BAD_USAGE else StageFailed
        return refusal(event["what"], where=event["where"] or f"stages.{stage}", hint=event["hint"])
    error = StageFailed(event["error"], where=f"stage {stage}")
    error.details = "\n".join((event["traceback"], printed(log)))
    return error


def _death(code: int, stage: str, log: IO[bytes]) -> HarnessError:
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    why = " (out of memory?)" if code == -signal.SIGKILL else ""
    error = StageFailed(f"the process ended with {name}{why}", where=f"stage {stage}" if stage else "")
    error.details = printed(log)
    return error
