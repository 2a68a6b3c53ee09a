"""Sizes, crop offsets and filter weights: which source pixels make up which output pixel.

Weights follow Pillow's and torch's antialiased resize: output pixel i has its centre at (i + 0.5) * scale in source
coordinates, the filter is stretched by max(scale, 1), cut at the image's edge and normalised to a sum of one. They are
computed in float64. Sizes and offsets round as in torchvision's Resize and CenterCrop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _triangle(x: Floats) -> Floats:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _cubic(x: Floats) -> Floats:
    """Keys (1981), equation 15, with a = -0.5, as Pillow and torch's antialiased bicubic have it."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    """Duchon (1979): sinc, windowed by a wider sinc, three lobes."""
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


FILTERS: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "box": (_box, 0.5),
    "lanczos": (_lanczos, 3.0),
}


@dataclass(frozen=True)
class Axis:
    """Weights along one axis for the output pixels that are wanted.

    starts: int32 (n,), the first source pixel of each output pixel. weights: float64 (n, taps); rows sum to one and may
    end in zeros. starts[i] + taps never exceeds the source's length. first, stop: the source range that is read.
    centers: float64 (n,), where the output pixels' centres lie, in source pixels. stretch: of the filter, at least one.
    totals: float64 (n,), the sums of the filter's values that the weights were divided by.
    """

    starts: NDArray[np.int32]
    weights: Floats
    first: int
    stop: int
    centers: Floats
    stretch: float
    totals: Floats

    @property
    def taps(self) -> int:
        """Source pixels that are read for each output pixel."""
        return int(self.weights.shape[1])


@dataclass(frozen=True)
class Geometry:
    """How an image of one size maps to the output.

    output: height and width of the output. top, left: where the image's own pixels begin in it; around them, `rows` by
    `columns` output pixels, lies padding (only when the resized image is smaller than the crop).
    """

    resized: tuple[int, int]
    output: tuple[int, int]
    top: int
    left: int
    rows: Axis
    columns: Axis

    @property
    def padded(self) -> bool:
        """Whether any output pixel lies outside the image."""
        return (len(self.rows.starts), len(self.columns.starts)) != self.output


def resized_size(
    height: int, width: int, resize: int | tuple[int, int] | None, max_size: int | None
) -> tuple[int, int]:
    """Height and width after torchvision's Resize."""
    if resize is None:
        return height, width
    if not isinstance(resize, int):
        return resize
    short, long = min(height, width), max(height, width)
    new_short, new_long = resize, int(resize * long / short)
    if max_size is not None and new_long > max_size:
        new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def make_axis(source: int, resized: int, begin: int, end: int, filter_name: str) -> Axis:
    """Weights for output pixels begin..end of an axis that is resized from `source` to `resized` pixels."""
    function, radius = FILTERS[filter_name]
    scale = source / resized
    stretch = max(scale, 1.0)
    centers: Floats = (np.arange(begin, end, dtype=np.float64) + 0.5) * scale
    if source == resized:
        starts = np.arange(begin, end, dtype=np.int32)
        return Axis(starts, np.ones((end - begin, 1)), begin, end, centers, stretch, np.ones(end - begin))
    support = radius * stretch
    lows = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    highs = np.minimum((centers + support + 0.5).astype(np.int64), source)
    taps = int((highs - lows).max())
    positions = lows[:, None] + np.arange(taps)
    weights = function((positions - centers[:, None] + 0.5) / stretch)
    weights[positions >= highs[:, None]] = 0.0
    totals: Floats = weights.sum(axis=1)
    starts, fitted = _fit(lows, weights / totals[:, None], source)
    return Axis(starts, fitted, int(starts.min()), int(starts.max()) + fitted.shape[1], centers, stretch, totals)


def _fit(lows: NDArray[np.int64], weights: Floats, source: int) -> tuple[NDArray[np.int32], Floats]:
    """Drop zero weights at both ends and move starts back where the taps would pass the source's end."""
    taps = weights.shape[1]
    used = weights != 0.0
    if used[:, 0].all() and used[:, -1].any() and lows[-1] + taps <= source:
        return lows.astype(np.int32), weights
    leading = used.argmax(axis=1)
    lengths = taps - used[:, ::-1].argmax(axis=1) - leading
    taps = int(lengths.max())
    starts = np.minimum(lows + leading, source - taps)
    columns = np.arange(taps) + (starts - lows)[:, None]
    inside = (columns >= leading[:, None]) & (columns < (leading + lengths)[:, None])
    fitted = np.where(inside, np.take_along_axis(weights, np.clip(columns, 0, weights.shape[1] - 1), axis=1), 0.0)
    return starts.astype(np.int32), fitted


def _window(size: int, crop: int) -> tuple[int, int, int]:
    """Along one axis: first and last-plus-one resized pixel that is kept, and where the first one lands."""
    if crop > size:
        return 0, size, (crop - size) // 2
    offset = round((size - crop) / 2.0)
    return offset, offset + crop, 0


def make_geometry(
    height: int, width: int, resized: tuple[int, int], crop: tuple[int, int] | None, filter_name: str
) -> Geometry:
    """Geometry for an image of height x width that is resized to `resized` and then cropped or padded to `crop`."""
    output = crop or resized
    row_begin, row_end, top = _window(resized[0], output[0])
    column_begin, column_end, left = _window(resized[1], output[1])
    rows = make_axis(height, resized[0], row_begin, row_end, filter_name)
    columns = make_axis(width, resized[1], column_begin, column_end, filter_name)
    return Geometry(resized, output, top, left, rows, columns)


def normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Scale and offset, float64 (channels,), so that pixel * scale + offset == (pixel / 255 - mean) / std."""
    deviations = np.asarray(std, dtype=np.float64)
    return 1.0 / (255.0 * deviations), -np.asarray(mean, dtype=np.float64) / deviations
