"""The process: opens the stages of a pipeline and takes images through them, in batches where a stage has them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.children.link import SupervisorLink
from harness.host import placement
from harness.memory import attach
from harness.stages import BatchingStage, RequestError, Stage, StageContext, build

TELL_EVERY_S = 0.1


@dataclass(frozen=True)
class Instructions:
    """All that the process is told. images: anything that is indexed and raises RequestError, such as an ImageSet.

    The memory at `fd` holds, for n images, n answers of int64, and then the n outputs of the stage at `kept`.
    """

    events_fd: int
    names: tuple[str, ...]
    contexts: tuple[StageContext, ...]
    images: Any
    kept: int
    fd: int
    nbytes: int
    pinned: bool = False


class Serial:
    """The stages, opened, each with room for the outputs of one group of images."""

    def __init__(self, contexts: Sequence[StageContext]) -> None:
        self.contexts = contexts
        self.group = max(context.max_batch for context in contexts)
        self.stages: list[Stage] = [build(context) for context in contexts]
        self._room = [np.empty((self.group, *c.output.shape), c.output.dtype) for c in contexts]

    def serve(self, items: Mapping[int, Any], failed: dict[int, str]) -> Iterator[tuple[Mapping[int, Any], list[int]]]:
        """Take a group of items, by row, through all stages; yield the outputs of each stage, by row, and its answers.

        An answer is -1 where a stage gives none. A request that fails drops out, with its reason in `failed`.
        """
        for stage, context, room in zip(self.stages, self.contexts, self._room, strict=True):
            outputs = dict(zip(items, room, strict=False))
            if context.max_batch > 1:
                answers = self._batches(cast(BatchingStage, stage), context.max_batch, items, outputs, failed)
            else:
                answers = {}
                for row, item in items.items():
                    try:
                        answers[row] = stage.process(item, outputs[row], row)
                    except RequestError as error:
                        failed[row] = error.reason
            items = {row: outputs[row] for row in answers}
            yield items, list(answers.values())

    def _batches(
        self,
        stage: BatchingStage,
        size: int,
        items: Mapping[int, Any],
        outputs: Mapping[int, NDArray[Any]],
        failed: dict[int, str],
    ) -> dict[int, int]:
        answers, rows = {}, list(items)
        for first in range(0, len(rows), size):
            batch = rows[first : first + size]
            try:
                results = stage.process_batch([items[row] for row in batch], batch)
            except RequestError as error:
                failed.update(dict.fromkeys(batch, error.reason))
                continue
            for row, result in zip(batch, results, strict=True):
                outputs[row][...] = result
                answers[row] = -1
        return answers


class _Child:
    def __init__(self, told: Instructions, supervisor: SupervisorLink) -> None:
        self._told = told
        self._supervisor = supervisor
        self._serial = Serial(told.contexts)
        memory, count, kept = attach(told.fd, told.nbytes), len(told.images), told.contexts[told.kept].output
        self._answers = np.frombuffer(memory, np.int64, count)
        shape = (count, *kept.shape)
        self._outputs = np.frombuffer(memory, kept.dtype, int(np.prod(shape)), offset=count * 8).reshape(shape)

    def run(self) -> None:
        told, tell = self._told, self._supervisor.tell
        for name, stage in zip(told.names, self._serial.stages, strict=True):
            tell("opening", stage=name)
            opened = stage.open()
            pinned = placement.told(placement.of_process()) if told.pinned else {}
            tell("opened", stage=name, startup_s=dict(opened.startup_s), effective={**opened.effective, **pinned})
        tell("ready", stage="")
        told_s = time.monotonic()
        for first in range(0, len(told.images), self._serial.group):
            last = min(first + self._serial.group, len(told.images))
            failed: dict[int, str] = {}
            self._serve(range(first, last), failed)
            for row, reason in failed.items():
                tell("request failed", row=row, reason=reason)
            if time.monotonic() - told_s >= TELL_EVERY_S:
                told_s = time.monotonic()
                tell("served", count=last)
        for stage in self._serial.stages:
            stage.close()
        tell("done")

    def _serve(self, rows: range, failed: dict[int, str]) -> None:
        items: dict[int, Any] = {}
        for row in rows:
            try:
                items[row] = self._told.images[row]
            except RequestError as error:
                failed[row] = error.reason
        for index, (outputs, answers) in enumerate(self._serial.serve(items, failed)):
            if index == self._told.kept:
                for row, output in outputs.items():
                    self._outputs[row] = output
            for row, answer in zip(outputs, answers, strict=True):
                if answer >= 0:
                    self._answers[row] = answer


def main() -> None:
    """Run as a process; whatever is raised reaches the supervisor with its traceback."""
    supervisor = SupervisorLink()
    with supervisor.reporting_errors():
        _Child(supervisor.instructions, supervisor).run()
