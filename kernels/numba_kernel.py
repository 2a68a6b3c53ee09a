"""The compiled loops: a vertical pass into one row of float32, then a horizontal pass into the output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def preprocess(
    pixels: Array,
    row_starts: Array,
    row_weights: Array,
    column_starts: Array,
    column_weights: Array,
    scale: Array,
    offset: Array,
    top: int,
    left: int,
    out: Array,
) -> None:
    """pixels: uint8 (height, width, channels); out: float32 (output channels, height, width), any strides."""
    if len(row_starts) != out.shape[1] or len(column_starts) != out.shape[2]:
        for c in range(out.shape[0]):
            out[c] = offset[c]
    row = np.empty(pixels.shape[1], dtype=np.float32)
    for i in range(len(row_starts)):
        for c in range(out.shape[0]):
            row[:] = 0.0
            for k in range(row_weights.shape[1]):
                weight = row_weights[i, k]
                for x in range(pixels.shape[1]):
                    row[x] += weight * np.float32(pixels[row_starts[i] + k, x, min(c, pixels.shape[2] - 1)])
            for j in range(len(column_starts)):
                total = np.float32(0.0)
                for k in range(column_weights.shape[1]):
                    total += column_weights[j, k] * row[column_starts[j] + k]
                out[c, top + i, left + j] = total * scale[c] + offset[c]
