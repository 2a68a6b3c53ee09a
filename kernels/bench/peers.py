"""Other libraries that do the job, written as a user who wants speed would write it; used only where installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..contract import Image, Output, Recipe

Run = Callable[[Image, Output], None]


@dataclass(frozen=True)
class Peer:
    """A library, set to one thread. note: how its result differs from the recipe's; empty if it does not."""

    name: str
    package: str
    note: str
    make: Callable[[Recipe], Run]

    @property
    def version(self) -> str:
        """Version of the installed package."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "unknown"


def _window(recipe: Recipe, image: Image) -> tuple[int, int, int, int]:
    """Rows and columns of the resized image that the crop keeps: top, left, height, width."""
    height, width = recipe.resized(*image.shape[:2])
    rows, columns = recipe.crop_size or (height, width)
    return round((height - rows) / 2), round((width - columns) / 2), rows, columns


def _normalise(recipe: Recipe) -> Run:
    scale = (1.0 / (255.0 * np.asarray(recipe.std))).astype(np.float32)[:, None, None]
    offset = (np.asarray(recipe.mean) / np.asarray(recipe.std)).astype(np.float32)[:, None, None]

    def run(pixels: Image, out: Output) -> None:
        np.multiply(pixels.transpose(2, 0, 1), scale, out=out)
        np.subtract(out, offset, out=out)

    return run


def _pillow(recipe: Recipe) -> Run:
    pil: Any = import_module("PIL.Image")
    normalise = _normalise(recipe)

    def run(image: Image, out: Output) -> None:
        top, left, rows, columns = _window(recipe, image)
        height, width = recipe.resized(*image.shape[:2])
        across, down = image.shape[1] / width, image.shape[0] / height
        box = (left * across, top * down, (left + columns) * across, (top + rows) * down)
        small = pil.fromarray(image).resize((columns, rows), pil.Resampling.BILINEAR, box=box)
        normalise(np.asarray(small), out)

    return run


def _opencv(interpolation: str) -> Callable[[Recipe], Run]:
    def make(recipe: Recipe) -> Run:
        cv2: Any = import_module("cv2")
        cv2.setNumThreads(1)
        normalise = _normalise(recipe)

        def run(image: Image, out: Output) -> None:
            top, left, rows, columns = _window(recipe, image)
            height, width = recipe.resized(*image.shape[:2])
            small = cv2.resize(image, (width, height), interpolation=getattr(cv2, interpolation))
            normalise(small[top : top + rows, left : left + columns], out)

        return run

    return make


def _albumentations(recipe: Recipe) -> Run:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    library: Any = import_module("albumentations")
    import_module("cv2").setNumThreads(1)
    transform = library.Compose(
        [
            library.SmallestMaxSize(recipe.resize, interpolation=1, area_for_downscale="image"),
            library.CenterCrop(*(recipe.crop_size or ())),
            library.Normalize(recipe.mean, recipe.std),
        ]
    )

    def run(image: Image, out: Output) -> None:
        out[...] = transform(image=image)["image"].transpose(2, 0, 1)

    return run


def _kornia(recipe: Recipe) -> Run:
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    library: Any = import_module("kornia_rs")
    fused = library.Preprocessor(mode="stretch", mean=recipe.mean, std=recipe.std)

    def run(image: Image, out: Output) -> None:
        top, left, rows, columns = _window(recipe, image)
        height, width = recipe.resized(*image.shape[:2])
        down, across = image.shape[0] / height, image.shape[1] / width
        part = image[
            round(top * down) : round((top + rows) * down), round(left * across) : round((left + columns) * across)
        ]
        part = np.ascontiguousarray(part)
        out[...] = fused.run(part.reshape(-1), part.shape[1], part.shape[0], columns, rows).numpy()[0]

    return run


def _vips(recipe: Recipe) -> Run:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    library: Any = import_module("pyvips")
    library.cache_set_max(0)
    normalise = _normalise(recipe)

    def run(image: Image, out: Output) -> None:
        top, left, rows, columns = _window(recipe, image)
        height, width = recipe.resized(*image.shape[:2])
        whole = library.Image.new_from_array(image)
        small = whole.resize(width / image.shape[1], vscale=height / image.shape[0], kernel="linear")
        normalise(small.crop(left, top, columns, rows).numpy(), out)

    return run


_PEERS = (
    Peer("pillow", "pillow", "8-bit intermediate", _pillow),
    Peer("opencv-linear", "opencv-python-headless", "no antialiasing", _opencv("INTER_LINEAR")),
    Peer("opencv-area", "opencv-python-headless", "box filter, 8-bit intermediate", _opencv("INTER_AREA")),
    Peer("albumentations", "albumentations", "box filter (OpenCV's), 8-bit intermediate", _albumentations),
    Peer("kornia-rs", "kornia-rs", "fused, no antialiasing, crop to whole source pixels", _kornia),
    Peer("pyvips", "pyvips", "shrinks by a box first, 8-bit intermediate", _vips),
)


def usable_peers(recipe: Recipe) -> tuple[dict[str, tuple[Peer, Run]], dict[str, str]]:
    """The peers that can be made, by name, and for the others the reason why not."""
    usable: dict[str, tuple[Peer, Run]] = {}
    missing: dict[str, str] = {}
    for peer in _PEERS:
        try:
            usable[peer.name] = peer, peer.make(recipe)
        except Exception as error:  # an optional library may fail to import in any way
            missing[peer.name] = f"{type(error).__name__}: {error}"
    return usable, missing
