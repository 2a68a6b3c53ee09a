"""The compiled loops: source rows are blended into one row of float32, then its columns into the output."""

from __future__ import annotations

from typing import Any

from .jit import compiled, compiled_for, types
from .numba_rows import blend_rows, sum_rows
from .numba_vectors import LANES, blend_four

Array = Any

SPARE = 8


@compiled
def _fill_padding(normaliser: Array, out_channels: int, planar: bool, out: Array) -> None:
    pixels = len(out) // out_channels
    for c in range(out_channels):
        if planar:
            out[c * pixels : (c + 1) * pixels] = normaliser[LANES + c]
        else:
            out[c::out_channels] = normaliser[LANES + c]


@compiled
def _blend_columns(
    row: Array,
    column_starts: Array,
    column_weights: Array,
    normaliser: Array,
    layout: Array,
    first_pixel: int,
    spare: Array,
    out: Array,
) -> None:
    """One output row from a blended one; first_pixel counts in pixels of the output."""
    (columns, taps, step, out_channels, pixels, planar) = layout
    whole = columns // LANES if planar else 0
    for g in range(whole):
        at = first_pixel + LANES * g
        blend_four(row, column_starts, column_weights, normaliser, out, g, taps, step, at, pixels, out_channels)
    for g in range(whole, len(column_starts) // LANES):
        blend_four(row, column_starts, column_weights, normaliser, spare, g, taps, step, 0, LANES, out_channels)
        for lane in range(min(LANES, columns - LANES * g)):
            pixel = first_pixel + LANES * g + lane
            for c in range(out_channels):
                out[c * pixels + pixel if planar else pixel * out_channels + c] = spare[c * LANES + lane]


_NUMBER, _INTS, _FLOATS = types.int64, types.int32[::1], types.float32[::1]
_TABLE = types.float32[:, ::1]


@compiled_for(
    *(_NUMBER, _NUMBER, _NUMBER, types.int64[::1], _TABLE, types.int64[::1], types.int64[:, ::1], _TABLE),
    *(_INTS, _FLOATS, _FLOATS, types.UniTuple(_NUMBER, 9), types.uint16[::1], _FLOATS, _FLOATS),
)
def preprocess(
    address: int,
    stride: int,
    length: int,
    row_starts: Array,
    row_weights: Array,
    spans: Array,
    places: Array,
    shares: Array,
    column_starts: Array,
    column_weights: Array,
    normaliser: Array,
    layout: Array,
    sums: Array,
    scratch: Array,
    out: Array,
) -> None:
    """Preprocess one image whose first needed byte is at `address`, `length` bytes of every row.

    Rows have starts and row_weights (rows, taps); or, when there are `spans`, they are summed, see `sum_rows`.
    column_starts, column_weights, normaliser: as in `_blend_four`. layout: columns, column taps, channels in and out,
    output height and width, top, left, planar. sums and scratch: as long as `scratch_lengths` says.
    """
    (columns, taps, channels, out_channels, out_height, out_width, top, left, planar) = layout
    summed = len(spans) > 0
    rows = len(spans) - 2 if summed else len(row_starts)
    if rows != out_height or columns != out_width:
        _fill_padding(normaliser, out_channels, planar != 0, out)
    spread = channels == 1 and out_channels > 1
    room = length + SPARE
    spare = scratch[: LANES * LANES]
    blended = scratch[LANES * LANES : LANES * LANES + room]
    carry = scratch[LANES * LANES + room : LANES * LANES + 2 * room]
    row = scratch[LANES * LANES + 2 * room :] if spread else blended
    column_layout = (columns, taps, LANES if spread else channels, out_channels, out_height * out_width, planar)
    if summed:
        carry[:length] = 0.0
        sum_rows(address, stride, length, places, shares, spans[0], spans[1], sums, carry, blended)
    for i in range(rows):
        if summed:
            sum_rows(address, stride, length, places, shares, spans[i + 1], spans[i + 2], sums, carry, blended)
        else:
            blend_rows(address + row_starts[i] * stride, stride, length, row_weights[i], blended)
        if spread:
            for x in range(length):
                for c in range(LANES):
                    row[LANES * x + c] = blended[x]
        first_pixel = (top + i) * out_width + left
        _blend_columns(row, column_starts, column_weights, normaliser, column_layout, first_pixel, spare, out)


def scratch_lengths(length: int, channels: int, out_channels: int) -> tuple[int, int]:
    """uint16 and float32 of scratch that `preprocess` needs."""
    spread = LANES * length + SPARE if channels == 1 and out_channels > 1 else 0
    return 2 * length, LANES * LANES + 2 * (length + SPARE) + spread
