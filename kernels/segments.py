"""Large downscales: rows whose weights change linearly from row to row can be summed before they are weighted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Axis

# 255 * (0 + 1 + ... + 22) still fits 16 bits.
MAX_SUMMED_ROWS = 23
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


def rows_can_be_summed(axis: Axis, filter_name: str, from_stretch: float) -> bool:
    """Whether summing is possible and, from `from_stretch` on, faster than weighting every row."""
    return filter_name == "bilinear" and axis.stretch >= max(from_stretch, 1.0)


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
