"""Softmax and the most probable classes, or the user's own answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.errors import ScenarioError
from harness.keys import FACTORY
from harness.stages import factory
from harness.stages.base import Opened, Payload, Stage, StageContext, StageSpec, Tensor
from harness.stages.options import StageOptions

RANKED = np.dtype([("class", np.int32), ("probability", np.float32)])


class Postprocess(StageOptions):
    """Softmax, and the `top_k` most probable classes."""

    kind: Literal["postprocess"] = "postprocess"
    top_k: int = Field(default=5, ge=1, le=1000)
    """How many classes to keep."""
    factory: str | None = Field(default=None, pattern=FACTORY)
    """Your own code in place of it, as `package.module:function`: the function is called once a worker and returns one
    that makes a whole number, the answer, of the model's output, a float32 vector."""

    def spec(self, given: Payload) -> StageSpec:
        """A vector (classes,) float32 goes in; (top_k,) of RANKED, the most probable first, or one answer comes out."""
        if not (isinstance(given, Tensor) and len(given.shape) == 1 and given.dtype == np.float32):
            raise ScenarioError(
                f"postprocess takes a vector of logits, and would get {given}", hint="Put it behind inference."
            )
        if self.factory is not None:
            return StageSpec(Tensor((1,), np.int64))
        if self.top_k > given.shape[0]:
            raise ScenarioError(f"top_k is {self.top_k}, and there are {given.shape[0]} classes")
        return StageSpec(Tensor((self.top_k,), RANKED))

    def build(self, context: StageContext) -> Stage:
        """The class, or what the user's function answers."""
        return PostprocessStage(context) if self.factory is None else OwnPostprocessStage(context)


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


class OwnPostprocessStage:
    """Its answer is what the user's function makes of the model's output."""

    part_ns: Sequence[int] = ()

    def __init__(self, context: StageContext) -> None:
        self._factory: str = context.options.factory
        self._classes = context.input.shape[0] if isinstance(context.input, Tensor) else 0

    def open(self) -> Opened:
        begun = time.perf_counter()
        self._answer: Callable[[NDArray[np.float32]], Any] = factory.callable_of(
            self._factory, "a whole number of the model's output, a float32 vector"
        )
        self.process(np.zeros(self._classes, np.float32), np.empty(1, np.int64), 0)
        return Opened({"load": time.perf_counter() - begun}, {"factory": self._factory})

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        answer = self._answer(item)
        if not isinstance(answer, int | np.integer):
            raise ScenarioError(
                f"{self._factory} answered {type(answer).__name__} and must answer a whole number",
                where="stages.postprocess.factory",
            )
        out[0] = answer
        return int(answer)

    def close(self) -> None:
        pass
