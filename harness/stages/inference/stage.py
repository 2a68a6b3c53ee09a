"""The inference stage: a runtime behind the calls that an executor makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, ScenarioError
from harness.stages.base import Opened, StageContext
from harness.stages.inference.base import Runtime, Setup, first_line, runtime_of
from harness.stages.inference.options import Inference


class InferenceStage:
    """A BatchingStage around any Runtime. A batch of one reads its slot in place."""

    def __init__(self, context: StageContext) -> None:
        self._options: Inference = context.options
        self._setup = Setup.of(context)
        self.runtime: Runtime = runtime_of(self._setup)
        self.part_ns: Sequence[int] = ()

    def open(self) -> Opened:
        begun = time.perf_counter()
        steps = dict(self.runtime.open())
        loaded = time.perf_counter()
        first = self._first_call(1)
        if first.shape != (1, self._options.classes):
            raise ScenarioError(
                f"{self._options.model_name} gives {'x'.join(map(str, first.shape[1:]))} outputs,"
                f" and classes is {self._options.classes}",
                where="stages.inference.classes",
                hint="Set classes to the length of the model's output.",
            )
        called = time.perf_counter()
        for size in (1, 1, *range(2, self._setup.max_batch + 1)):  # TorchScript optimises at the second call
            self._first_call(size)
        warmed = time.perf_counter()
        figures = {
            "load": loaded - begun - sum(steps.values()),
            **steps,
            "first_call": called - loaded,
            "warm_batches": warmed - called,
        }
        model = {"model": self._options.model_name, "weights": self._options.weights}
        return Opened(figures, {**model, **self.runtime.effective()})

    def _first_call(self, size: int) -> NDArray[np.float32]:
        """Run a batch of a size that was not run yet. Raises ScenarioError: a model may not take it."""
        try:
            return self.runtime.run(self.runtime.inputs[:size])
        except HarnessError:
            raise
        except Exception as error:
            shape = "x".join(map(str, (size, *self._setup.shape)))
            fixed = "Export it with a dynamic batch, or set batch.max to 1." if size > 1 else ""
            raise ScenarioError(
                f"{self._options.model_name} cannot run a batch of {shape}: {first_line(error)}",
                where="stages.inference.model",
                hint=fixed or "Its input must be one float32 tensor (batch, 3, height, width).",
            ) from None

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        out[:] = self.runtime.run(item[None])[0]
        self.part_ns = self.runtime.part_ns
        return -1

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        inputs = self.runtime.inputs
        for index, item in enumerate(items):
            inputs[index] = item
        results = self.runtime.run(inputs[: len(items)])
        self.part_ns = self.runtime.part_ns
        return list(results)

    def close(self) -> None:
        self.runtime.close()
