"""Run one backend over many geometries in buffers that end where the pixels end; for tests in another process.

python -m tests.kernels.walk BACKEND [LIBRARY]: LIBRARY is an extension module to use in place of the installed one.
"""

import importlib.util
import os
import sys

import numpy as np

from . import oracle


def use_library(path):
    spec = importlib.util.spec_from_file_location("harness.kernels._native", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["harness.kernels._native"] = module


def image_at_the_end_of_its_memory(rng, height, width, channels, gap):
    """uint8 (height, width, channels), rows `gap` bytes apart, in a block that ends with the last pixel."""
    stride = width * channels + gap
    block = rng.integers(0, 256, (height - 1) * stride + width * channels, dtype=np.uint8)
    return np.lib.stride_tricks.as_strided(block, (height, width, channels), (stride, channels, 1))


def geometries(small):
    """(height, width, channels), resize, crop: each kind of loop, with and without a rest."""
    widths = (1, 2, 5, 7) if small else (1, 2, 5, 7, 10, 11, 21, 22, 33, 64, 65, 100)
    for width in widths:
        for channels in (1, 3, 4):
            yield (9, width, channels), (5, 7), None
            yield (3, width, channels), None, 6
            yield (40, width, channels), (4, 9), (3, 8)
    if not small:
        yield (700, 30, 3), (8, 8), None
        yield (700, 333, 3), (20, 19), None
        yield (600, 900, 3), 32, 24
        yield (128, 1000, 1), (100, 3), None


def walk(make, small=False):
    """Largest error over all geometries, filters and layouts."""
    from harness.kernels import Recipe

    rng = np.random.default_rng(0)
    worst = 0.0
    for (height, width, channels), resize, crop in geometries(small):
        for filter_name in ("bilinear",) if small else ("bilinear", "bicubic"):
            for layout in ("chw", "hwc"):
                count = channels if channels == 1 else 3
                recipe = Recipe(resize, crop, (0.4,) * count, (0.25,) * count, filter_name, layout)
                image = image_at_the_end_of_its_memory(rng, height, width, channels, gap=channels % 3)
                out = np.full(recipe.output_shape_for(height, width), np.nan, dtype=np.float32)
                make(recipe).run(image, out)
                worst = max(worst, float(np.abs(out - oracle.preprocess(image, recipe)).max()))
                assert worst <= 0.002, (image.shape, recipe)
    return worst


def expect_bounds_to_be_checked():
    """A run whose scratch is too short must be stopped."""
    from harness.kernels import Recipe, load

    backend = load("numba", Recipe(8, 8))
    plan = backend.plan(20, 20)
    plan._take_scratch = lambda: (np.empty(0, np.uint16), np.empty(30, np.float32))
    try:
        plan.run(np.zeros((20, 20, 3), np.uint8), np.empty((3, 8, 8), np.float32))
    except IndexError:
        return
    raise AssertionError("numba did not check its bounds")


def main(name, library=None):
    if library is not None:
        use_library(library)
    from harness.kernels import load
    from harness.kernels.native_backend import NativeBackend

    print(name, walk(lambda recipe: load(name, recipe), small=name == "numba"))
    if os.environ.get("NUMBA_BOUNDSCHECK") == "1":
        expect_bounds_to_be_checked()
    if name == "native":
        print("portable", walk(lambda recipe: NativeBackend(recipe, simd="portable")))


if __name__ == "__main__":
    main(*sys.argv[1:])
