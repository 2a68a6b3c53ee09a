"""Images that are hard on a resize, as hypothesis strategies."""

import math

import numpy as np
from harness.kernels import Recipe
from hypothesis import strategies as st

MEAN, STD = (0.485, 0.456, 0.406, 0.45), (0.229, 0.224, 0.225, 0.226)


def fill(shape, content, seed):
    """uint8 of `shape`: noise, the extremes at random, one extreme everywhere, stripes or a checkerboard of them."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    if content == "noise":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if content == "extremes":
        return rng.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
    plane = {"white": y * 0 + x * 0 + 1, "rows": y % 2 + x * 0, "columns": x % 2 + y * 0, "checkers": (x + y) % 2}[
        content
    ]
    return np.repeat((plane[:, :, None] * 255).astype(np.uint8), shape[2], axis=2)


def strided(image, form):
    """The same pixels in other memory: rows apart, upside down, read-only, or the middle of a larger image."""
    height, width, channels = image.shape
    if form == "apart":
        wide = np.full((height, width + 5, channels), 77, dtype=np.uint8)
        wide[:, :width] = image
        return wide[:, :width]
    if form == "flipped":
        return image[::-1].copy()[::-1]
    if form == "inside":
        large = np.full((height + 2, width + 3, channels), 77, dtype=np.uint8)
        large[1:-1, 2:-1] = image
        return large[1:-1, 2:-1]
    if form == "read-only":
        image = image.copy()
        image.setflags(write=False)
    return image


sizes = st.floats(0.0, math.log(700.0)).map(lambda x: round(math.exp(x)))
targets = st.integers(1, 90)
contents = st.sampled_from(["noise", "extremes", "white", "rows", "columns", "checkers"])
forms = st.sampled_from(["plain", "apart", "flipped", "inside", "read-only"])
pairs = st.tuples(targets, targets)


@st.composite
def recipes(draw, filters, channels):
    return Recipe(
        resize=draw(st.none() | targets | pairs),
        crop=draw(st.none() | targets | pairs),
        mean=MEAN[:channels],
        std=STD[:channels],
        filter=draw(st.sampled_from(filters)),
        layout=draw(st.sampled_from(["chw", "hwc"])),
    )


@st.composite
def cases(draw, filters=("bilinear", "bicubic"), max_output=300_000):
    """A recipe and an image that it can be applied to."""
    channels, out_channels = draw(st.sampled_from([(3, 3), (4, 3), (4, 4), (1, 1), (1, 3), (1, 4)]))
    recipe = draw(recipes(filters, out_channels))
    height, width = draw(sizes), draw(sizes)
    resized = recipe.resized(height, width)
    if min(resized) < 1 or resized[0] * resized[1] > max_output:
        recipe = Recipe((resized[0] % 90 + 1, resized[1] % 90 + 1), *astuple(recipe)[1:])
    image = strided(fill((height, width, channels), draw(contents), draw(st.integers(0, 99))), draw(forms))
    return recipe, image


def astuple(recipe):
    return recipe.resize, recipe.crop, recipe.mean, recipe.std, recipe.filter, recipe.layout


def run(backend, image, border=64):
    """Run into a buffer that was full of NaN, with a border of marks that must not change."""
    shape = backend.recipe.output_shape_for(*image.shape[:2])
    size = math.prod(shape)
    memory = np.full(size + 2 * border, np.nan, dtype=np.float32)
    memory[:border] = memory[-border:] = 123.0
    out = memory[border:-border].reshape(shape)
    before = image.copy()
    backend.run(image, out)
    assert (memory[:border] == 123.0).all() and (memory[-border:] == 123.0).all(), "written outside the output"
    assert (image == before).all(), "the image was changed"
    assert not np.isnan(out).any(), "part of the output was not written"
    return out
