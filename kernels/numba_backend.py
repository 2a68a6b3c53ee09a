"""The recipe compiled by numba."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .contract import Backend, Image, Output, Plan, Recipe
from .geometry import Axis, Geometry, normalisation
from .segments import row_segments, rows_can_be_summed

LANES = 4
SUMMED_FROM_STRETCH = 4.0

Scratch = tuple[NDArray[np.uint16], NDArray[np.float32]]


class _NumbaPlan(Plan):
    def __init__(self, backend: NumbaBackend, height: int, width: int, channels: int) -> None:
        super().__init__(backend.recipe, height, width, channels)
        from .numba_kernel import preprocess, scratch_lengths

        recipe = backend.recipe
        geometry = recipe.geometry(height, width)
        self._preprocess: Any = preprocess
        self._idle = backend.idle_scratch
        self._first_byte = geometry.columns.first * channels
        self._length = (geometry.columns.stop - geometry.columns.first) * channels
        self._scratch_lengths = scratch_lengths(self._length, channels, recipe.channels)
        step = LANES if channels == 1 and recipe.channels > 1 else channels
        self._arguments = (
            *_row_tables(geometry.rows, recipe.filter),
            *_column_groups(geometry.columns, step),
            _normaliser(recipe),
            _layout(recipe, geometry, channels),
        )

    def _run(self, pixels: Image, out: Output) -> None:
        sums, scratch = self._take_scratch()
        address = pixels.__array_interface__["data"][0] + self._first_byte
        self._preprocess(address, pixels.strides[0], self._length, *self._arguments, sums, scratch, out.reshape(-1))
        self._idle.append((sums, scratch))

    def _take_scratch(self) -> Scratch:
        """What no other thread is using, when it is long enough; it goes back to the list after the run."""
        words, floats = self._scratch_lengths
        try:
            sums, scratch = self._idle.pop()
        except IndexError:
            sums, scratch = np.empty(0, dtype=np.uint16), np.empty(0, dtype=np.float32)
        if len(sums) < words or len(scratch) < floats:
            return np.empty(words, dtype=np.uint16), np.empty(floats, dtype=np.float32)
        return sums, scratch


def _row_tables(rows: Axis, filter_name: str) -> tuple[NDArray[Any], ...]:
    """Starts and weights, then spans, places and shares; only the former or the latter are filled."""
    if not rows_can_be_summed(rows, filter_name, SUMMED_FROM_STRETCH):
        nothing = np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.int64), np.empty((0, 4), dtype=np.float32)
        return rows.starts.astype(np.int64), rows.weights.astype(np.float32), *nothing
    spans, segments = row_segments(rows, 1.0)
    places = np.stack([segments["first"], segments["count"]], axis=1).astype(np.int64)
    shares = np.stack([segments[name] for name in ("upper", "upper_slope", "lower", "lower_slope")], axis=1)
    unused = np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
    return *unused, spans.astype(np.int64), places, np.ascontiguousarray(shares)


def _column_groups(columns: Axis, step: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Starts, in floats of a blended row, and weights (groups, taps, 4), flat; filled up with zero weights."""
    count = len(columns.starts)
    groups = -(-count // LANES)
    starts = np.zeros(groups * LANES, dtype=np.int32)
    weights = np.zeros((groups * LANES, columns.taps), dtype=np.float32)
    starts[:count] = (columns.starts - columns.first) * step
    weights[:count] = columns.weights
    return starts, np.ascontiguousarray(weights.reshape(groups, LANES, columns.taps).transpose(0, 2, 1)).reshape(-1)


def _normaliser(recipe: Recipe) -> NDArray[np.float32]:
    normaliser = np.zeros((2, LANES), dtype=np.float32)
    normaliser[:, : recipe.channels] = normalisation(recipe.mean, recipe.std)
    return normaliser.reshape(-1)


def _layout(recipe: Recipe, geometry: Geometry, channels: int) -> tuple[int, ...]:
    """The argument `layout` of `numba_kernel.preprocess`."""
    columns = len(geometry.columns.starts), geometry.columns.taps
    planar = recipe.layout == "chw"
    return (*columns, channels, recipe.channels, *geometry.output, geometry.top, geometry.left, int(planar))


class NumbaBackend(Backend):
    """Compiled by `warm_up`, or read from numba's cache on disk, for all image sizes at once."""

    name: ClassVar[str] = "numba"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.idle_scratch: list[Scratch] = []

    @property
    def effective(self) -> dict[str, Any]:
        """Version, threads as `warm_up` counted them, the CPU that LLVM compiles for and whether it compiles at all."""
        from . import jit

        return {"numba": jit.version(), "threads": self.threads, "cpu": jit.cpu(), "jit": not jit.DISABLED}

    def warm_up(self) -> dict[str, float]:
        """Import numba, then compile or read the cache, then run once."""
        began = time.perf_counter()
        import numba  # noqa: F401

        loaded = time.perf_counter()
        from . import numba_kernel  # noqa: F401

        compiled = time.perf_counter()
        image = np.zeros((8, 8, 1), dtype=np.uint8)
        self.run_counted(image, np.empty(self.recipe.output_shape_for(8, 8), dtype=np.float32))
        return {
            "load": loaded - began,
            "compile": compiled - loaded,
            "first_call": time.perf_counter() - compiled,
        }

    def _make_plan(self, height: int, width: int, channels: int) -> Plan:
        return _NumbaPlan(self, height, width, channels)
