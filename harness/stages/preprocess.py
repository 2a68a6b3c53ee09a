"""Pixels or files to a normalised tensor, by one of the backends of `harness.kernels`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clock import now_ns
from harness.errors import ScenarioError
from harness.kernels import BackendUnavailable, Recipe, load
from harness.kernels.decode import DecodeError, decode
from harness.scenario.model import Preprocess
from harness.stages.base import Images, Opened, Payload, RequestError, StageContext, StageSpec, Tensor


def recipe(options: Preprocess) -> Recipe:
    """The kernels' description of the same work."""
    return Recipe(resize=options.resize, crop=options.crop, mean=options.mean, std=options.std)


def spec(options: Preprocess, given: Payload) -> StageSpec:
    """Images go in; float32 (3, crop, crop) comes out."""
    if not isinstance(given, Images):
        raise ScenarioError(f"preprocess takes images, and would get {given}", hint="Make it the first stage.")
    parts = ("decode", "resize") if given.form == "encoded" else ()
    return StageSpec(Tensor((3, options.crop, options.crop), np.float32), parts, reads_images=True)


class PreprocessStage:
    """One backend, warmed up."""

    def __init__(self, context: StageContext) -> None:
        self._options: Preprocess = context.options
        self._encoded = context.input == Images("encoded")
        self._shape = context.output.shape
        self.part_ns: Sequence[int] = ()

    def open(self) -> Opened:
        begun = time.perf_counter()
        try:
            self._backend = load(self._options.backend, recipe(self._options))
        except BackendUnavailable as error:
            raise ScenarioError(str(error), hint="`harness doctor` lists the backends that work here.") from None
        loaded = time.perf_counter()
        warm = dict(self._backend.warm_up())
        warmed = time.perf_counter()
        self._backend.run(np.zeros((64, 64, 3), np.uint8), np.empty(self._shape, np.float32))
        figures = {
            "load": loaded - begun,
            "compile": warmed - loaded,
            **warm,
            "first_call": time.perf_counter() - warmed,
        }
        return Opened(figures, dict(self._backend.effective))

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        if self._encoded:
            begun = now_ns()
            try:
                item = decode(item)
            except DecodeError as error:
                raise RequestError(str(error)) from None
            decoded = now_ns()
            self._backend.run(item, out)
            self.part_ns = (decoded - begun, now_ns() - decoded)
        else:
            self._backend.run(item, out)
        return -1

    def close(self) -> None:
        pass
