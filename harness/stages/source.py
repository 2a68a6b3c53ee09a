"""The images of a run: read and checked once, then shared, read only, by every worker."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.errors import ScenarioError
from harness.host.memory import usable_bytes
from harness.kernels.decode import DecodeError, decode, probe
from harness.keys import FileName, Keys
from harness.memory import allocate, attach, store
from harness.stages.base import RequestError
from harness.text import one_line

PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
JPEG_QUALITY = 90
ALIGNMENT = 64  # bytes, a cache line
LARGE_BYTES = 32 << 20
"""Of a decoded image, from which on it is asked whether there is room for it: that takes half a millisecond."""
CHOICES = 4096  # how many requests until the order of the images repeats, at least


class Source(Keys):
    """Where the images come from. They are in shared memory before the run starts; each request gets one, seeded."""

    images: Annotated[str, FileName(("photos", "synthetic"))] = "photos"
    """`photos` (eight that come with scikit-image), `synthetic` (noise), a folder, or a glob pattern; a relative one
    counts from the scenario file's folder. Files are JPEG, PNG, WebP, BMP, TIFF, GIF or PPM by their content; what
    cannot be read as one of these fails the requests that get it."""
    form: Literal["raw", "encoded"] = Field(default="raw", alias="as")
    """`raw`: decoded pixels. `encoded`: the file's bytes (`photos` and `synthetic` as JPEG of quality 90)."""
    height: int | None = Field(default=None, ge=1, le=65_535)
    """Height of synthetic images; photographs and files are fitted to it when it is given."""
    width: int | None = Field(default=None, ge=1, le=65_535)
    """Width, likewise."""
    count: int = Field(default=8, ge=1)
    """How many synthetic images to make."""
    max_pixels: int = Field(default=100_000_000, ge=1)
    """An image with more pixels is refused before the run. A picture that a preprocess stage's resize would make larger
    than this (a long, narrow one: resize is its short side) fails its request, with every backend."""

    @model_validator(mode="after")
    def _both_sides(self) -> Self:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width go together")
        if self.images == "synthetic" and self.height is None:
            raise ValueError("synthetic images need height and width")
        return self


@dataclass(frozen=True)
class ImageEntry:
    """Where one image lies. shape: (height, width, 3), or () for bytes of a file. error: why it is of no use, or ''."""

    name: str
    offset: int
    nbytes: int
    shape: tuple[int, ...]
    error: str = ""


@dataclass(frozen=True)
class ImageSet:
    """All images in one shared segment. Travels to workers as its descriptor and table."""

    fd: int
    nbytes: int
    entries: tuple[ImageEntry, ...]
    choice: tuple[int, ...] = ()
    """Which image each request gets, by its row; from its end on it begins anew."""

    @cached_property
    def _bytes(self) -> memoryview:
        return memoryview(attach(self.fd, self.nbytes, writable=False))

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Any:
        """A uint8 (height, width, 3) array or a memoryview of a file's bytes. Raises RequestError for a bad image."""
        entry = self.entries[index]
        if entry.error:
            raise RequestError(f"{entry.name}: {entry.error}")
        data = self._bytes[entry.offset : entry.offset + entry.nbytes]
        return np.frombuffer(data, np.uint8).reshape(entry.shape) if entry.shape else data

    def close(self) -> None:
        """Close the descriptor of this process; what is mapped stays mapped until it exits."""
        os.close(self.fd)


def choose(count: int, requests: int, seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Which image each request gets, shape (requests,): shuffled rounds, so that all are used equally often."""
    rounds = np.tile(np.arange(count), (-(-requests // count), 1))
    chosen: NDArray[np.int64] = np.random.default_rng(seed).permuted(rounds, axis=1).ravel()[:requests]
    return chosen


def load(source: Source, seed: np.random.SeedSequence, order: np.random.SeedSequence | None = None) -> ImageSet:
    """Read the images of a source. A corrupt file becomes an entry with an error: its requests will fail, one by one.

    seed: of synthetic content; order: of which request gets which image.
    Raises ScenarioError when there are none at all, one is too large, or they do not fit into memory.
    """
    usable, end, entries = usable_bytes(), 0, list[ImageEntry]()
    fd = allocate(0, "harness-images")
    try:
        # Each goes where it will be read from before the next one is opened: never are all in memory twice.
        for name, found in _synthetic(source, seed) if source.images == "synthetic" else _files(source):
            if isinstance(found, str):
                entries.append(ImageEntry(name, 0, 0, (), error=found))
                continue
            data = memoryview(found if isinstance(found, bytes) else found.data)
            entry = ImageEntry(name, end, data.nbytes, () if isinstance(found, bytes) else found.shape)
            end += -(-entry.nbytes // ALIGNMENT) * ALIGNMENT
            if end > usable:
                raise _too_much_memory("the images take", usable)
            store(fd, data, entry.offset)
            entries.append(entry)
        if all(entry.error for entry in entries):
            reasons = "".join(f"\n  {entry.name}: {entry.error}" for entry in entries[:3])
            raise ScenarioError(f"none of the {len(entries)} images can be read{reasons}", where="source.images")
        os.ftruncate(fd, end)
    except BaseException:
        os.close(fd)
        raise
    rounds = -(-CHOICES // len(entries))
    choice = choose(len(entries), rounds * len(entries), order or seed)
    return ImageSet(fd, end, tuple(entries), tuple(choice.tolist()))


def _too_much_memory(what: str, usable: int) -> ScenarioError:
    return ScenarioError(
        f"{what} more than {usable / 2**30:.1f} GiB, 60 % of the memory that is left",
        where="source.images",
        hint="Use fewer or smaller images, or as: encoded.",
    )


def paths(source: Source) -> list[Path]:
    """The files of a source that names photographs, a folder or a pattern. Raises ScenarioError."""
    if source.images == "photos":
        skimage = find_spec("skimage")
        if skimage is None or not skimage.submodule_search_locations:
            raise ScenarioError("the photographs come with scikit-image", hint="pip install scikit-image")
        return [Path(skimage.submodule_search_locations[0], "data", name) for name in PHOTOS]
    pattern = Path(source.images).expanduser()
    if pattern.is_dir():
        found = sorted(p for p in pattern.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    elif any(c in source.images for c in "*?["):
        anchor = Path(pattern.anchor or ".")
        found = sorted(p for p in anchor.glob(str(pattern.relative_to(pattern.anchor))) if p.is_file())
    else:
        found = [pattern] if pattern.is_file() else []
    if not found:
        raise ScenarioError(
            f"there are no images at {source.images!r}",
            where="source.images",
            hint="Give photos, synthetic, a folder, or a glob pattern in quotes.",
        )
    return found


def _files(source: Source) -> Iterator[tuple[str, NDArray[np.uint8] | bytes | str]]:
    for path in paths(source):
        yield one_line(os.fsencode(path.name).decode(errors="backslashreplace")), read(path, source)


def read(path: Path, source: Source) -> NDArray[np.uint8] | bytes | str:
    """One file as pixels, as bytes, or as the reason why neither. What is sent encoded is decoded by the stage.

    Raises ScenarioError where it cannot be opened or is too large.
    """
    from PIL import Image, ImageOps

    reencode = source.form == "encoded" and (source.images == "photos" or source.height is not None)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"cannot read an image: {error.strerror}", where=str(path)) from None
    try:
        header = probe(data)
        if header.pixels > source.max_pixels:
            raise ScenarioError(
                f"the image has {header.width}x{header.height} pixels, more than {source.max_pixels:,}",
                where=str(path),
                hint="Leave it out, or raise source.max_pixels.",
            )
        if source.form == "encoded" and not reencode:
            return data
        _check_room(header.pixels)
        pixels = decode(data, max_pixels=source.max_pixels)
    except DecodeError as error:
        return f"cannot be decoded: {error}"
    if source.height and source.width:
        _check_room(source.height * source.width)
        fitted = ImageOps.fit(Image.fromarray(pixels), (source.width, source.height), Image.Resampling.BICUBIC)
        pixels = np.asarray(fitted)
    return _jpeg(Image.fromarray(pixels)) if reencode else pixels


def _synthetic(source: Source, seed: np.random.SeedSequence) -> Iterator[tuple[str, NDArray[np.uint8] | bytes]]:
    """Smooth noise of the given size: compresses about as a photograph does."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    height, width = source.height or 1, source.width or 1
    _check_room(height * width)
    for index in range(source.count):
        coarse = rng.integers(0, 256, (max(1, height // 24), max(1, width // 24), 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = rng.integers(-6, 7, (height, width, 1), np.int16)
        pixels = np.clip(np.asarray(smooth, np.int16) + grain, 0, 255).astype(np.uint8)
        yield f"synthetic-{index}", _jpeg(Image.fromarray(pixels)) if source.form == "encoded" else pixels


def _check_room(pixels: int) -> None:
    """Raises ScenarioError for an image that does not fit into memory, before it is decoded."""
    if 3 * pixels < LARGE_BYTES:
        return
    usable = usable_bytes()
    if 3 * pixels > usable:
        raise _too_much_memory(f"an image of {pixels:,} pixels takes", usable)


def _jpeg(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
