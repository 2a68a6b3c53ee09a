"""Filter weights as 16-bit integers, arranged in the way that the C kernels read them (`native/preprocess.h`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Recipe
from .geometry import Axis, Geometry, normalisation

GROUP = 8
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


@dataclass(frozen=True)
class Quantised:
    """weights: int16 (n, taps); a sum of products is divided by 2**shift."""

    weights: NDArray[np.int16]
    shift: int


def quantise(weights: NDArray[np.float64], max_shift: int) -> Quantised:
    """Weights as int16 with as many bits as fit, every row summing to 2**shift.

    Rounds down, then up again where the remainders are largest, so that no weight is off by one or more.
    """
    shift = min(max_shift, int(np.floor(np.log2(32767.0 / np.abs(weights).max()))))
    exact = weights * float(1 << shift)
    floors = np.floor(exact)
    missing = (1 << shift) - floors.sum(axis=1).astype(np.int64)
    order = np.argsort(floors - exact, axis=1, kind="stable")
    floors[np.arange(len(floors))[:, None], order] += np.arange(weights.shape[1]) < missing[:, None]
    return Quantised(floors.astype(np.int16), shift)


def _max_column_shift(taps: int, filter_name: str) -> int:
    """Beyond ten taps the C code adds up floats; until then sums of 15-bit values must fit 32 bits."""
    if taps > 2 * PAIRS_IN_INT32:
        return 22
    return 16 if _BITS[filter_name] == 7 else 15


def _in_pairs(weights: NDArray[Any]) -> NDArray[Any]:
    """Append a zero weight where their number is odd."""
    return np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))


def column_groups(starts: NDArray[np.int32], weights: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Starts (groups, 8) and weights (groups, pairs, 64) of output columns in groups of eight.

    The last group overlaps the one before it; a single group of fewer columns is filled up with zero weights. For
    each two source columns, columns v and v + 4 of a group have the 16 weights from 16 * v on: their two, four times.
    """
    columns = len(starts)
    first = np.minimum(np.arange(0, columns, GROUP), max(columns - GROUP, 0))
    members = first[:, None] + np.arange(GROUP)
    real = members < columns
    members = np.minimum(members, columns - 1)
    paired = _in_pairs(weights)
    pairs = paired.shape[1] // 2
    grouped = np.where(real[:, :, None], paired[members], 0).astype(np.int16)
    halves = grouped.reshape(len(first), 2, 4, pairs, 1, 2)
    vectors = np.broadcast_to(halves, (len(first), 2, 4, pairs, 4, 2)).transpose(0, 3, 2, 1, 4, 5)
    return starts[members].astype(np.int32), np.ascontiguousarray(vectors).reshape(len(first), pairs, 64)


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


def _blended_rows(rows: Axis, bits: int) -> tuple[tuple[int, int, int], list[NDArray[Any]]]:
    """For rows with weights of their own: pairs, shift and number of segments; then the four arrays about rows."""
    quantised = quantise(rows.weights, 22)
    paired = np.ascontiguousarray(_in_pairs(quantised.weights))
    arrays = [rows.starts, paired, np.empty(0, dtype=np.int32), np.empty(0, dtype=SEGMENT)]
    return (paired.shape[1] // 2, quantised.shift - bits, 0), arrays


def _summed_rows(rows: Axis, bits: int) -> tuple[tuple[int, int, int], list[NDArray[Any]]]:
    """The same for rows that are summed in segments."""
    spans, segments = row_segments(rows, float(1 << bits))
    return (1, 1, len(segments)), [np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int16), spans, segments]


def plan_arguments(recipe: Recipe, geometry: Geometry, height: int, width: int, channels: int) -> tuple[Any, ...]:
    """Everything after the instruction set that `_native.plan` takes."""
    rows, columns = geometry.rows, geometry.columns
    bits = _BITS[recipe.filter]
    summed = recipe.filter == "bilinear" and rows.stretch >= SUMMED_FROM_STRETCH
    (row_pairs, row_shift, segment_count), row_arrays = (_summed_rows if summed else _blended_rows)(rows, bits)
    column_weights = quantise(columns.weights, _max_column_shift(columns.taps, recipe.filter))
    starts, grouped = column_groups(columns.starts, column_weights.weights)
    scale, offset = normalisation(recipe.mean, recipe.std)
    scale = scale / float(1 << (bits + column_weights.shift))
    fill = (0.0,) * (4 - recipe.channels)
    return (
        (height, width, channels),
        (recipe.channels, *geometry.output, recipe.layout == "chw"),
        (geometry.top, geometry.left, len(rows.starts), len(columns.starts)),
        (columns.first, columns.stop - columns.first),
        (row_pairs, row_shift, grouped.shape[1], segment_count),
        (*scale.tolist(), *fill),
        (*offset.tolist(), *fill),
        (*row_arrays, np.ascontiguousarray((starts - columns.first) * channels), grouped),
    )
