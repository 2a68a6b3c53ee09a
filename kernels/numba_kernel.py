"""The compiled loops: source rows are blended into one row of float32, then its columns into the output."""

from __future__ import annotations

from typing import Any

from .jit import compiled, compiled_for, types
from .numba_vectors import LANES, blend_four, row_at

Array = Any

SPARE = 8


@compiled
def _blend_two_rows(a: Array, b: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v = weights[0], weights[1]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x]


@compiled
def _blend_three_rows(a: Array, b: Array, c: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v, w = weights[0], weights[1], weights[2]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x] + w * c[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x] + w * c[x]


@compiled
def _blend_four_rows(a: Array, b: Array, c: Array, d: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v, w, z = weights[0], weights[1], weights[2], weights[3]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x] + w * c[x] + z * d[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x] + w * c[x] + z * d[x]


@compiled
def blend_rows(address: int, stride: int, length: int, weights: Array, blended: Array) -> None:
    """blended[x] = sum over t of weights[t] * row t [x]; rows of `length` bytes, `stride` apart from `address` on."""
    taps = len(weights)
    t = 0
    while t < taps:
        first = address + t * stride
        a = row_at(first, length)
        left = taps - t
        if left == 1:
            w = weights[t]
            if t == 0:
                for x in range(length):
                    blended[x] = w * a[x]
            else:
                for x in range(length):
                    blended[x] += w * a[x]
            t += 1
        elif left == 2 or left == 5:
            _blend_two_rows(a, row_at(first + stride, length), weights[t:], blended, t == 0)
            t += 2
        elif left == 3:
            b, c = row_at(first + stride, length), row_at(first + 2 * stride, length)
            _blend_three_rows(a, b, c, weights[t:], blended, t == 0)
            t += 3
        else:
            b, c = row_at(first + stride, length), row_at(first + 2 * stride, length)
            _blend_four_rows(a, b, c, row_at(first + 3 * stride, length), weights[t:], blended, t == 0)
            t += 4


_NUMBER, _INTS, _FLOATS = types.int64, types.int32[::1], types.float32[::1]


@compiled_for(
    *(_NUMBER, _NUMBER, _NUMBER, types.int64[::1], types.float32[:, ::1]),
    *(_INTS, _FLOATS, _FLOATS, types.UniTuple(_NUMBER, 9), _FLOATS, _FLOATS),
)
def preprocess(
    address: int,
    stride: int,
    length: int,
    row_starts: Array,
    row_weights: Array,
    column_starts: Array,
    column_weights: Array,
    normaliser: Array,
    layout: Array,
    scratch: Array,
    out: Array,
) -> None:
    """Preprocess one image whose first needed byte is at `address`, `length` bytes of every row.

    row_weights: (rows, taps); column_starts, column_weights, normaliser: as in `_blend_four`. layout: columns, column
    taps, channels in and out, output height and width, top, left, planar. scratch: at least `scratch_length` floats.
    """
    (columns, taps, channels, out_channels, out_height, out_width, top, left, planar) = layout
    pixels = out_height * out_width
    if len(row_starts) != out_height or columns != out_width:
        for c in range(out_channels):
            if planar:
                out[c * pixels : (c + 1) * pixels] = normaliser[LANES + c]
            else:
                out[c::out_channels] = normaliser[LANES + c]
    spread = channels == 1 and out_channels > 1
    step = LANES if spread else channels
    spare = scratch[: LANES * LANES]
    blended = scratch[LANES * LANES : LANES * LANES + length + SPARE]
    row = scratch[LANES * LANES + length + SPARE :] if spread else blended
    whole = columns // LANES
    for i in range(len(row_starts)):
        blend_rows(address + row_starts[i] * stride, stride, length, row_weights[i], blended)
        if spread:
            for x in range(length):
                for c in range(LANES):
                    row[LANES * x + c] = blended[x]
        base = (top + i) * out_width + left
        if planar:
            for g in range(whole):
                blend_four(
                    row,
                    column_starts,
                    column_weights,
                    normaliser,
                    out,
                    g,
                    taps,
                    step,
                    base + LANES * g,
                    pixels,
                    out_channels,
                )
        for g in range(whole if planar else 0, len(column_starts) // LANES):
            blend_four(row, column_starts, column_weights, normaliser, spare, g, taps, step, 0, LANES, out_channels)
            for lane in range(min(LANES, columns - LANES * g)):
                for c in range(out_channels):
                    pixel = base + LANES * g + lane
                    out[c * pixels + pixel if planar else pixel * out_channels + c] = spare[c * LANES + lane]


def scratch_length(length: int, channels: int, out_channels: int) -> int:
    """float32 of scratch that `preprocess` needs."""
    spread = LANES * length + SPARE if channels == 1 and out_channels > 1 else 0
    return LANES * LANES + length + SPARE + spread
