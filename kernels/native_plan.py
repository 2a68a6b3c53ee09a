"""What the C kernels are told about a geometry (`native/preprocess.h`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .contract import Recipe
from .geometry import Geometry, normalisation
from .segments import SEGMENT, row_segments, rows_can_be_summed

PAIRS_IN_INT32 = 5
SUMMED_FROM_STRETCH = 6.0

# Of a blended row's int16: the filters with negative weights overshoot 0..255 and need a bit more in front.
_BITS = {"bilinear": 7, "box": 7, "bicubic": 6, "lanczos": 6}


def _max_column_bits(taps: int, filter_name: str) -> int:
    """Beyond ten taps the C code adds up floats; until then sums of 15-bit values must fit 32 bits."""
    if taps > 2 * PAIRS_IN_INT32:
        return 22
    return 16 if _BITS[filter_name] == 7 else 15


def plan_arguments(recipe: Recipe, geometry: Geometry, height: int, width: int, channels: int) -> tuple[Any, ...]:
    """Everything after the instruction set that `_native.plan` takes."""
    rows, columns = geometry.rows, geometry.columns
    bits = _BITS[recipe.filter]
    spans, segments = np.empty(0, dtype=np.int32), np.empty(0, dtype=SEGMENT)
    if rows_can_be_summed(rows, recipe.filter, SUMMED_FROM_STRETCH):
        spans, segments = row_segments(rows, float(1 << bits))
    scale, offset = normalisation(recipe.mean, recipe.std)
    fill = (0.0,) * (4 - recipe.channels)
    return (
        (height, width, channels),
        (recipe.channels, *geometry.output, recipe.layout == "chw"),
        (geometry.top, geometry.left, len(rows.starts), len(columns.starts)),
        (columns.first, columns.stop - columns.first),
        (rows.taps, columns.taps, len(segments), bits, _max_column_bits(columns.taps, recipe.filter)),
        (*scale.tolist(), *fill),
        (*offset.tolist(), *fill),
        (rows.starts, rows.weights, spans, segments, columns.starts, columns.weights),
    )
