"""The side that starts the process, watches it, and gets the outputs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import pinning
from harness.children.blocking import BlockingChild
from harness.children.process import Event
from harness.children.verdict import verdict
from harness.errors import RunFailed, StalledError
from harness.host.memory import usable_bytes
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

    One process serves all stages, on the CPUs of that one if it is pinned. images: an ImageSet, or anything that is
    indexed and raises RequestError. observe is called with the number of images that are through. Raises what the
    process met as a HarnessError; the process has ended when this returns.
    """
    pinning.check_usable(plan)
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
        cpus = stages[kept].options.cpus
        contexts = tuple(map(plan.context, stages))
        told = Instructions(-1, names, contexts, images, kept, fd, nbytes, pinned=cpus is not None)
        threads = max(stage.options.threads for stage in stages)
        failures: dict[int, str] = {}
        effective: dict[str, Mapping[str, Any]] = {}
        startup_s: dict[str, Mapping[str, float]] = {}
        begun = time.monotonic()
        for event in _events(told, threads, cpus, plan.scenario.deadlines):
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


def _events(told: Instructions, threads: int, cpus: tuple[int, ...] | None, deadlines: Deadlines) -> Iterator[Event]:
    """The events of a process until it is done. Raises what ended it before that.

    Raises StalledError when it is not ready, or no image through, within the deadline.
    """
    stage = last = ""
    waits_for, allowed_ns = "startup", deadlines.startup
    with BlockingChild(
        "harness.outputs.child",
        lambda events_fd: replace(told, events_fd=events_fd),
        threads=threads,
        cpus=cpus or (),
        fds=(told.fd, *((told.images.fd,) if isinstance(told.images, ImageSet) else ())),
        duties=("may-hang", "clears-up"),
        until=time.monotonic() + allowed_ns / 1e9,
    ) as child:
        try:
            for event in child.events():
                last, stage = event["event"], event.get("stage", stage)
                if last == "ready":
                    waits_for, allowed_ns = "progress", deadlines.progress
                yield event
                if waits_for == "progress":
                    child.until = time.monotonic() + allowed_ns / 1e9
        except TimeoutError:
            what = "no image was served for" if waits_for == "progress" else "not ready after"
            raise StalledError(
                f"{what} {allowed_ns / 1e9:g} s",
                where=f"deadlines.{waits_for}",
                hint="Raise it, if a model takes longer.",
            ) from None
        if last != "done":
            raise verdict(child, child.reap(), where=f"stage {stage}" if stage else "", stage=stage)
