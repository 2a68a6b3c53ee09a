"""What the C kernels are told about a geometry (`native/preprocess.h`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Recipe
from .geometry import Axis, Geometry, normalisation

MAX_SUMMED_ROWS = 23
PAIRS_IN_INT32 = 5
SUMMED_FROM_STRETCH = 6.0
SEGMENT = np.dtype(
    [
        ("first", "<i4"),
        ("count", "<i4"),
        ("upper", "<f4"),
        ("upper_slope", "<f4"),
        ("lower", "<f4"),
        ("lower_slope", "<f4"),
    ]
)

# Of a blended row's int16: the filters with negative weights overshoot 0..255 and need a bit more in front.
_BITS = {"bilinear": 7, "box": 7, "bicubic": 6, "lanczos": 6}


def _max_column_bits(taps: int, filter_name: str) -> int:
    """Beyond ten taps the C code adds up floats; until then sums of 15-bit values must fit 32 bits."""
    if taps > 2 * PAIRS_IN_INT32:
        return 22
    return 16 if _BITS[filter_name] == 7 else 15


def row_segments(axis: Axis, unit: float) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Spans int32 (n + 2,) and segments of a triangle filter stretched over at least one row.

    Between the centres of two output rows the weights of both are linear. Span 0 holds the rows above the first centre,
    span n those below the last; `unit` is what a weight of one becomes.
    """
    centers, stretch = axis.centers, axis.stretch
    count = len(centers)
    bounds = np.empty(count + 2, dtype=np.int64)
    bounds[0] = np.floor(centers[0] - stretch + 0.5)
    bounds[1:-1] = np.ceil(centers - 0.5)
    bounds[-1] = np.ceil(centers[-1] + stretch - 0.5)
    bounds = np.clip(bounds, axis.first, axis.stop)
    lengths = np.diff(bounds)
    pieces = -(-lengths // MAX_SUMMED_ROWS)
    spans = np.zeros(count + 2, dtype=np.int32)
    np.cumsum(pieces, out=spans[1:])
    span = np.repeat(np.arange(count + 1), pieces)
    piece = np.arange(len(span)) - spans[span]
    segments = np.zeros(len(span), dtype=SEGMENT)
    segments["first"] = bounds[span] + piece * MAX_SUMMED_ROWS
    segments["count"] = np.minimum(bounds[span + 1] - segments["first"], MAX_SUMMED_ROWS)
    middles = segments["first"] + 0.5
    slopes = unit / (stretch * axis.totals)
    for side, row, sign in (("upper", span - 1, -1.0), ("lower", span, 1.0)):
        real = (row >= 0) & (row < count)
        row = np.clip(row, 0, count - 1)
        distance = np.abs(middles - centers[row])
        segments[side] = np.where(real, (stretch - distance) * slopes[row], 0.0)
        segments[f"{side}_slope"] = np.where(real, sign * slopes[row], 0.0)
    return spans, segments


def plan_arguments(recipe: Recipe, geometry: Geometry, height: int, width: int, channels: int) -> tuple[Any, ...]:
    """Everything after the instruction set that `_native.plan` takes."""
    rows, columns = geometry.rows, geometry.columns
    bits = _BITS[recipe.filter]
    spans, segments = np.empty(0, dtype=np.int32), np.empty(0, dtype=SEGMENT)
    if recipe.filter == "bilinear" and rows.stretch >= SUMMED_FROM_STRETCH:
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
