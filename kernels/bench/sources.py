"""Images to measure on, and the time that only reading them takes."""

from __future__ import annotations

import numpy as np

from ..contract import Image


def photograph(height: int, width: int, seed: int = 0) -> Image:
    """uint8 (height, width, 3): structure at several scales and a camera's noise, so that a JPEG has a usual size."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 110.0, dtype=np.float32)
    for cells in (3, 11, 40, 150):
        coarse = rng.normal(0.0, 60.0 / cells**0.4, (cells + 1, cells + 1, 3)).astype(np.float32)
        rows = np.linspace(0, cells, height, dtype=np.float32)
        columns = np.linspace(0, cells, width, dtype=np.float32)
        image += _interpolated(_interpolated(coarse, rows).transpose(1, 0, 2), columns).transpose(1, 0, 2)
    image += rng.normal(0.0, 3.0, (height, width, 1)).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)


def _interpolated(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    low = np.minimum(at.astype(np.int64), len(values) - 2)
    share = (at - low)[:, None, None]
    result: np.ndarray = values[low] * (1 - share) + values[low + 1] * share
    return result


def read_once(image: Image) -> int:
    """Touch every byte as fast as NumPy can; image is contiguous."""
    flat = image.reshape(-1)
    words = flat[: flat.size // 8 * 8].view(np.uint64)
    return int(np.maximum.reduce(words)) if len(words) else int(flat.max())
