"""The recipe compiled by numba."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np

from .contract import Backend, Image, Output, Plan, Recipe
from .geometry import normalisation


class _NumbaPlan(Plan):
    def __init__(self, recipe: Recipe, height: int, width: int, channels: int) -> None:
        super().__init__(recipe, height, width, channels)
        geometry = recipe.geometry(height, width)
        scale, offset = normalisation(recipe.mean, recipe.std)
        self._arguments = (
            geometry.rows.starts,
            geometry.rows.weights.astype(np.float32),
            geometry.columns.starts,
            geometry.columns.weights.astype(np.float32),
            scale.astype(np.float32),
            offset.astype(np.float32),
            geometry.top,
            geometry.left,
        )

    def _run(self, pixels: Image, out: Output) -> None:
        from .numba_kernel import preprocess

        target = out if self.recipe.layout == "chw" else out.transpose(2, 0, 1)
        preprocess(pixels, *self._arguments, target)


class NumbaBackend(Backend):
    """Compiled ahead of the first image by `warm_up` and kept in numba's cache on disk."""

    name: ClassVar[str] = "numba"

    @property
    def effective(self) -> dict[str, Any]:
        """Versions and threads."""
        import numba

        return {"numba": numba.__version__, "threads": 1, "jit": not numba.config.DISABLE_JIT}

    def warm_up(self) -> dict[str, float]:
        """Import numba and compile, or load what was compiled before."""
        began = time.perf_counter()
        import numba  # noqa: F401

        loaded = time.perf_counter()
        image = np.zeros((8, 8, 1), dtype=np.uint8)
        self.run(image, np.empty(self.recipe.output_shape_for(8, 8), dtype=np.float32))
        return {"load": loaded - began, "compile": time.perf_counter() - loaded}

    def _make_plan(self, height: int, width: int, channels: int) -> Plan:
        return _NumbaPlan(self.recipe, height, width, channels)
