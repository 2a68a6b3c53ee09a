"""The stage that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.stages.base import Opened, Payload, Stage, StageContext, StageSpec, Tensor
from harness.stages.options import BatchingOptions


class Null(BatchingOptions):
    """Does nothing, at the full cost of the pipeline around it: measures the instrument."""

    instant: ClassVar[bool] = True
    given_services: ClassVar[bool] = True

    kind: Literal["null"] = "null"
    payload: int = Field(default=8, ge=8, le=2**31)
    """Bytes of the slot that it hands on."""

    def spec(self, given: Payload) -> StageSpec:
        """Anything goes in; `payload` bytes come out."""
        return StageSpec(Tensor((self.payload,), np.uint8))

    def build(self, context: StageContext) -> Stage:
        """Nothing to it."""
        return NullStage(context)

    def services_ns(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """None at all."""
        return np.zeros(count)


class NullStage:
    """Hands on a slot that it has not touched."""

    part_ns: Sequence[int] = ()

    def __init__(self, context: StageContext) -> None:
        self._result = np.zeros(context.output.shape, context.output.dtype)

    def open(self) -> Opened:
        return Opened()

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        return -1

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        return [self._result] * len(items)

    def close(self) -> None:
        pass
