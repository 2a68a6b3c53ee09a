"""Softmax and the most probable classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.scenario.model import Postprocess
from harness.stages.base import Opened, Payload, StageContext, StageSpec, Tensor

RANKED = np.dtype([("class", np.int32), ("probability", np.float32)])


def spec(options: Postprocess, given: Payload) -> StageSpec:
    """Logits (classes,) float32 go in; (top_k,) of RANKED come out, the most probable first."""
    if not (isinstance(given, Tensor) and len(given.shape) == 1 and given.dtype == np.float32):
        raise ScenarioError(
            f"postprocess takes a vector of logits, and would get {given}", hint="Put it behind inference."
        )
    if options.top_k > given.shape[0]:
        raise ScenarioError(f"top_k is {options.top_k}, and there are {given.shape[0]} classes")
    return StageSpec(Tensor((options.top_k,), RANKED))


class PostprocessStage:
    """Its answer is the most probable class."""

    part_ns: Sequence[int] = ()

    def __init__(self, context: StageContext) -> None:
        self._k: int = context.options.top_k
        self._classes = context.input.shape[0] if isinstance(context.input, Tensor) else 0

    def open(self) -> Opened:
        self.process(np.zeros(self._classes, np.float32), np.empty(self._k, RANKED), 0)
        return Opened()

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        largest = np.argpartition(item, -self._k)[-self._k :]
        largest = largest[np.argsort(-item[largest], kind="stable")]
        odds = np.exp(item - item[largest[0]])
        out["class"] = largest
        out["probability"] = odds[largest] / odds.sum()
        return int(largest[0])

    def close(self) -> None:
        pass
