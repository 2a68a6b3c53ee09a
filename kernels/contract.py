"""What every preprocessing backend takes, gives and promises."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .geometry import FILTERS, Geometry, make_geometry, resized_size

Image = NDArray[np.uint8]
Output = NDArray[np.float32]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PLANS = 128
MAX_PIXELS = 1 << 28


class KernelError(Exception):
    """An image, an output buffer or a recipe that a kernel cannot work with."""


class BackendUnavailable(KernelError):
    """The backend cannot be used here; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Recipe:
    """Preprocessing, named and rounded as in torchvision's classification presets.

    resize: the length of the short side, or (height, width), or None to keep the size. max_size: upper limit of the
    long side, only with a short side. crop: centre crop, an int or (height, width), or None; an image smaller than the
    crop is padded with black. mean, std: one per output channel, for pixel values scaled to 0..1. filter: bilinear,
    bicubic, box or lanczos, always antialiased; values beyond 0..255 that the latter two produce are kept.
    layout: "chw" or "hwc".
    """

    resize: int | tuple[int, int] | None = 256
    crop: int | tuple[int, int] | None = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    filter: str = "bilinear"
    layout: str = "chw"
    max_size: int | None = None

    def __post_init__(self) -> None:
        if self.filter not in FILTERS:
            raise KernelError(f"filter {self.filter!r} is not one of {', '.join(FILTERS)}")
        if self.layout not in ("chw", "hwc"):
            raise KernelError(f"layout {self.layout!r} is not one of chw, hwc")
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3, 4):
            raise KernelError(
                f"mean and std need one number for each of 1, 3 or 4 channels, not {self.mean}, {self.std}"
            )
        if any(not value > 0 for value in self.std):
            raise KernelError(f"std must be positive, not {self.std}")
        for name in ("resize", "crop"):
            value = getattr(self, name)
            sizes = (value,) if value is None or isinstance(value, int) else tuple(value)
            if len(sizes) > 2 or any(size is not None and size < 1 for size in sizes):
                raise KernelError(f"{name} must be a positive int or (height, width), not {value}")
        if self.max_size is not None and (not isinstance(self.resize, int) or self.max_size <= self.resize):
            raise KernelError("max_size needs a resize to a short side that is smaller than it")

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return len(self.mean)

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """Height and width of the crop, or None."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape of `out` where it does not depend on the image: with a crop, or a resize to an exact size."""
        size = self.crop_size or (self.resize if isinstance(self.resize, tuple) else None)
        if size is None:
            raise KernelError("the output shape depends on the image; see output_shape_for")
        return self._shape(*size)

    def output_shape_for(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape of `out` for an image of this size."""
        return self._shape(*(self.crop_size or self.resized(height, width)))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the resize and before the crop."""
        return resized_size(height, width, self.resize, self.max_size)

    def geometry(self, height: int, width: int) -> Geometry:
        """Source ranges and weights for an image of this size."""
        return make_geometry(height, width, self.resized(height, width), self.crop_size, self.filter)

    def _shape(self, height: int, width: int) -> tuple[int, int, int]:
        return (self.channels, height, width) if self.layout == "chw" else (height, width, self.channels)


class Plan(ABC):
    """Everything that one image size needs, computed once. Safe to run from several threads at the same time."""

    def __init__(self, recipe: Recipe, height: int, width: int, channels: int) -> None:
        self.recipe, self.height, self.width, self.channels = recipe, height, width, channels
        self.output_shape = recipe.output_shape_for(height, width)

    def run(self, image: Image, out: Output) -> None:
        """Preprocess `image`, uint8 (height, width, channels) or (height, width), into `out`.

        image may have any distance between rows; the pixels of a row lie side by side. out is float32, C-contiguous,
        of `output_shape`, and every element of it is written. Grey is copied into each channel and a fourth channel
        is left out where the recipe has three.
        """
        pixels = image[:, :, None] if image.ndim == 2 else image
        if pixels.shape != (self.height, self.width, self.channels) or pixels.dtype != np.uint8:
            raise KernelError(
                f"the plan is for uint8 ({self.height}, {self.width}, {self.channels}), not {image.dtype} {image.shape}"
            )
        if (self.width > 1 and pixels.strides[1] != self.channels) or (self.channels > 1 and pixels.strides[2] != 1):
            raise KernelError(f"the pixels of a row must lie side by side, not at strides {image.strides}")
        if out.shape != self.output_shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise KernelError(f"out must be C-contiguous float32 {self.output_shape}, not {out.dtype} {out.shape}")
        self._run(pixels, out)

    @abstractmethod
    def _run(self, pixels: Image, out: Output) -> None:
        """Do the work; shapes, dtypes and strides have been checked."""


class Backend(ABC):
    """One implementation of a recipe. Keeps the plans of the sizes seen last, at most `MAX_PLANS`."""

    name: ClassVar[str]

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._plans: OrderedDict[tuple[int, int, int], Plan] = OrderedDict()
        self._lock = threading.Lock()
        self.threads: int | None = None
        """With how many threads `warm_up` was seen to compute; None before it, and where the system does not say."""

    @property
    @abstractmethod
    def effective(self) -> dict[str, Any]:
        """What is really in use: versions, threads, SIMD level."""

    @abstractmethod
    def warm_up(self) -> dict[str, float]:
        """Load and compile ahead of the first image; returns seconds by part."""

    def run_counted(self, pixels: Image, out: Output) -> None:
        """`run`, and count: the thread that calls computes, and those that it has left behind in a pool."""
        before = _os_threads()
        self.run(pixels, out)
        after = _os_threads()
        self.threads = None if before is None or after is None else 1 + max(0, after - before)

    @abstractmethod
    def _make_plan(self, height: int, width: int, channels: int) -> Plan: ...

    def plan(self, height: int, width: int, channels: int = 3) -> Plan:
        """Plan for images of this size, cached."""
        key = (height, width, channels)
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
                return plan
        check_image_size(self.recipe, height, width, channels)
        plan = self._make_plan(height, width, channels)
        with self._lock:
            self._plans[key] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return plan

    def run(self, image: Image, out: Output) -> None:
        """Preprocess one image; see `Plan.run`."""
        if image.ndim not in (2, 3):
            raise KernelError(f"an image has 2 or 3 dimensions, not {image.ndim}")
        height, width = image.shape[:2]
        self.plan(height, width, image.shape[2] if image.ndim == 3 else 1).run(image, out)

    def run_batch(self, images: Sequence[Image], out: Output) -> None:
        """Preprocess images of any sizes into out, float32 (len(images), *output_shape), C-contiguous."""
        if len(images) != len(out):
            raise KernelError(f"{len(images)} images do not fit into a batch of {len(out)}")
        for image, slot in zip(images, out, strict=True):
            self.run(image, slot)


def check_image_size(recipe: Recipe, height: int, width: int, channels: int) -> None:
    """Raise KernelError for an image that the recipe cannot be applied to."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise KernelError(f"an image of {width}x{height} pixels is empty or larger than {MAX_PIXELS} pixels")
    usable = {1: (1, 3, 4), 3: (3,), 4: (3, 4)}.get(channels, ())
    if recipe.channels not in usable:
        raise KernelError(f"an image of {channels} channels does not fit a recipe of {recipe.channels}")
    resized = recipe.resized(height, width)
    rows, columns = recipe.crop_size or resized
    if min(resized) < 1 or max(rows * columns, resized[0] * resized[1]) > MAX_PIXELS:
        raise KernelError(
            f"{width}x{height} resizes to {resized[1]}x{resized[0]}: empty, or larger than {MAX_PIXELS} pixels"
        )


def check_resized(recipe: Recipe, height: int, width: int, max_pixels: int) -> None:
    """Raise KernelError for an image that the resize would make larger than max_pixels: a long, narrow one."""
    rows, columns = recipe.resized(height, width)
    if rows * columns > max_pixels:
        raise KernelError(f"{width}x{height} resizes to {columns}x{rows} pixels, more than the limit of {max_pixels:,}")


def _os_threads() -> int | None:
    """The number of threads of this process."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else None
