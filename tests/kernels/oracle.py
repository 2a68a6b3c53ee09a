"""The recipe in plain float64 NumPy, written from the definition and shared with none of the code under test."""

import math

import numpy as np


def triangle(x):
    return max(0.0, 1.0 - abs(x))


def box(x):
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def cubic(x):
    x = abs(x)
    if x < 1.0:
        return 1.5 * x**3 - 2.5 * x**2 + 1.0
    return -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0 if x < 2.0 else 0.0


def lanczos(x):
    if x == 0.0:
        return 1.0
    if abs(x) >= 3.0:
        return 0.0
    return 3.0 * math.sin(math.pi * x) * math.sin(math.pi * x / 3.0) / (math.pi * x) ** 2


FILTERS = {"bilinear": (triangle, 1.0), "bicubic": (cubic, 2.0), "box": (box, 0.5), "lanczos": (lanczos, 3.0)}


def weight_matrix(source, resized, filter_name):
    """float64 (resized, source)."""
    if source == resized:
        return np.eye(source)
    function, radius = FILTERS[filter_name]
    scale = source / resized
    stretch = max(1.0, scale)
    matrix = np.zeros((resized, source))
    for i in range(resized):
        center = (i + 0.5) * scale
        low = max(0, int(center - radius * stretch + 0.5))
        high = min(source, int(center + radius * stretch + 0.5))
        for j in range(low, high):
            matrix[i, j] = function((j + 0.5 - center) / stretch)
        matrix[i] /= matrix[i].sum()
    return matrix


def resized_size(height, width, resize, max_size=None):
    if resize is None:
        return height, width
    if not isinstance(resize, int):
        return tuple(resize)
    short, long = min(height, width), max(height, width)
    new_short, new_long = resize, int(resize * long / short)
    if max_size is not None and new_long > max_size:
        new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height < width else (new_long, new_short)


def center_crop(image, crop):
    """Pad with zeros to at least the crop, then cut; image (height, width, channels)."""
    rows, columns = (crop, crop) if isinstance(crop, int) else crop
    height, width = image.shape[:2]
    if rows > height or columns > width:
        more_rows, more_columns = max(rows - height, 0), max(columns - width, 0)
        image = np.pad(
            image,
            (
                (more_rows // 2, more_rows - more_rows // 2),
                (more_columns // 2, more_columns - more_columns // 2),
                (0, 0),
            ),
        )
        height, width = image.shape[:2]
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return image[top : top + rows, left : left + columns]


def preprocess(image, recipe):
    """float64 output of the recipe for a uint8 image."""
    pixels = np.asarray(image, dtype=np.float64)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    channels = len(recipe.mean)
    pixels = np.repeat(pixels, channels, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :channels]
    height, width = pixels.shape[:2]
    rows, columns = resized_size(height, width, recipe.resize, recipe.max_size)
    vertical = weight_matrix(height, rows, recipe.filter)
    horizontal = weight_matrix(width, columns, recipe.filter)
    resized = np.tensordot(vertical, pixels, axes=(1, 0))
    resized = np.tensordot(resized, horizontal, axes=(1, 1)).transpose(0, 2, 1)
    if recipe.crop is not None:
        resized = center_crop(resized, recipe.crop)
    normalised = (resized / 255.0 - np.array(recipe.mean)) / np.array(recipe.std)
    return normalised.transpose(2, 0, 1) if recipe.layout == "chw" else normalised
