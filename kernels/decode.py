"""Encoded images to uint8 RGB, with every limit checked from the header before a pixel is decoded."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from .contract import Backend, Image, KernelError, Recipe, check_resized

DEFAULT_MAX_PIXELS = 100_000_000
FORMATS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "GIF": "GifImagePlugin",
    "PPM": "PpmImagePlugin",
}
"""What is read, by the bytes and not by the name of a file, and Pillow's module for it. Pillow knows more, among
them EPS, for which it starts Ghostscript."""
_JPEG_MAGIC = b"\xff\xd8\xff"
_PREFIX_BYTES = 16  # what Pillow looks at to tell a format
_ORIENTATION_TAG = 0x0112
LYING = (5, 6, 7, 8)
"""EXIF orientations in which the stored picture lies on its side: height and width change places."""


class DecodeError(KernelError):
    """The bytes are not an image that can be decoded within the limits; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """What an encoded image says about itself.

    format: "JPEG", "PNG", ... as Pillow names it. mode: Pillow's or libjpeg's name of the stored colours.
    """

    format: str
    width: int
    height: int
    mode: str

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def probe(data: bytes) -> Header:
    """Read the header only. Raises DecodeError when there is none that makes sense."""
    if data[:3] == _JPEG_MAGIC:
        import simplejpeg

        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError as error:
            raise DecodeError(f"JPEG: {error}") from error
        header = Header("JPEG", int(width), int(height), str(colours))
    else:
        image = _open(data)
        header = Header(str(image.format), image.width, image.height, image.mode)
    if header.width < 1 or header.height < 1:
        raise DecodeError(f"{header.format}: a header of {header.width}x{header.height} pixels")
    return header


def decode(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    scaled_for: Recipe | tuple[int, int] | None = None,
    orient: bool = False,
) -> Image:
    """Decode to uint8 (height, width, 3), RGB.

    max_pixels: limit on width * height as the header states them. scaled_for: a recipe, or (height, width): a JPEG is
    decoded at the smallest of the decoder's scales (eighths) that is at least that large. orient: turn and mirror as
    the EXIF orientation says. Transparency is dropped, 16 bits are cut to 8, the first frame of an animation is taken.
    Raises DecodeError.
    """
    header = probe(data)
    if header.pixels > max_pixels:
        raise DecodeError(f"{header.format}: {header.width}x{header.height} pixels exceed the limit of {max_pixels}")
    orientation = _orientation(data) if orient else 1
    if header.format == "JPEG" and header.mode not in ("CMYK", "YCCK"):
        pixels = _decode_jpeg(data, header, scaled_for, lies=orientation in LYING)
    else:
        pixels = _decode_with_pillow(data, header)
    return _oriented(pixels, orientation)


def scaled_decode_difference(data: bytes, backend: Backend, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> dict[str, Any]:
    """What `scaled_for` changes for this file: both sizes, (width, height), and the difference of the outputs.

    max and mean are in normalised units. max_pixels: limit of the image and of what the resize makes of it. Raises
    KernelError.
    """
    header = probe(data)
    check_resized(backend.recipe, header.height, header.width, max_pixels)
    pixels = tuple(decode(data, max_pixels=max_pixels, scaled_for=scale) for scale in (None, backend.recipe))
    outputs = []
    for image in pixels:
        out = np.empty(backend.recipe.output_shape_for(*image.shape[:2]), dtype=np.float32)
        backend.run(image, out)
        outputs.append(out)
    if outputs[0].shape != outputs[1].shape:
        raise KernelError(f"the sizes of the outputs differ: {outputs[0].shape} and {outputs[1].shape}")
    difference = np.abs(outputs[0] - outputs[1])
    sizes = [image.shape[1::-1] for image in pixels]
    return {"full": sizes[0], "scaled": sizes[1], "max": float(difference.max()), "mean": float(difference.mean())}


def _decode_jpeg(data: bytes, header: Header, scaled_for: Recipe | tuple[int, int] | None, *, lies: bool) -> Image:
    """lies: the picture will be turned to its side, and `scaled_for` is about the upright one."""
    import simplejpeg

    wanted = (0, 0)
    if scaled_for is not None:
        upright = (header.width, header.height) if lies else (header.height, header.width)
        wanted = scaled_for.resized(*upright) if isinstance(scaled_for, Recipe) else scaled_for
        wanted = (wanted[1], wanted[0]) if lies else wanted
        wanted = (min(wanted[0], header.height), min(wanted[1], header.width))
    try:
        pixels: Image = simplejpeg.decode_jpeg(data, "RGB", min_height=wanted[0], min_width=wanted[1])
    except ValueError as error:
        raise DecodeError(f"JPEG: {error}") from error
    return pixels


def _decode_with_pillow(data: bytes, header: Header) -> Image:
    image = _open(data)
    if image.size != (header.width, header.height):
        raise DecodeError(f"{header.format}: the header changed while it was read")
    try:
        with _PILLOWS_LIMIT.lifted_for(header.pixels):
            if image.mode.startswith("I"):
                return _from_16_bits(np.asarray(image))
            if image.mode == "F":
                raise DecodeError(f"{header.format}: floating-point pixels have no defined range")
            return np.asarray(image.convert("RGB"))
    except DecodeError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever the damage leads to
        raise DecodeError(f"{header.format}: {error or type(error).__name__}") from error


class _PillowsLimit:
    """Pillow's own limit on pixels, which belongs to the whole process, and is lifted only while an image needs it.

    Several threads may lift it at once; the last of them puts it back.
    """

    def __init__(self) -> None:
        self._lock, self._lifted = threading.Lock(), 0
        self._found: int | None = None

    @contextmanager
    def lifted_for(self, pixels: float) -> Iterator[None]:
        """A context in which an image of this many pixels may be decoded; does nothing where the limit allows it."""
        from PIL import Image as PilImage

        with self._lock:
            limit = self._found if self._lifted else PilImage.MAX_IMAGE_PIXELS
            lifts = limit is not None and pixels > limit
            if lifts:
                self._found, PilImage.MAX_IMAGE_PIXELS = limit, None
                self._lifted += 1
        try:
            yield
        finally:
            if lifts:
                with self._lock:
                    self._lifted -= 1
                    if not self._lifted:
                        PilImage.MAX_IMAGE_PIXELS = self._found


_PILLOWS_LIMIT = _PillowsLimit()


def _from_16_bits(grey: Any) -> Image:
    """Grey of 16 bits, in integers of any width, to RGB of 8 bits."""
    eight_bits = (np.clip(grey, 0, 65535) >> 8).astype(np.uint8)
    return np.repeat(eight_bits[:, :, None], 3, axis=2)


def _orientation(data: bytes) -> Any:
    """The EXIF orientation, 1 where there is none."""
    try:
        return _open(data).getexif().get(_ORIENTATION_TAG, 1)
    except DecodeError:
        raise
    except Exception:  # damaged metadata is no reason to refuse the pixels
        return 1


def _oriented(pixels: Image, orientation: Any) -> Image:
    if orientation not in range(2, 9):
        return pixels
    if orientation in LYING:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _open(data: bytes) -> Any:
    """Pillow's lazy image: the header is parsed, no pixel is decoded.

    What Image.open does for one of FORMATS, but for Pillow's own limit on pixels.
    """
    from PIL.Image import DecompressionBombError

    try:
        return _parse(data)
    except DecodeError:
        raise
    except DecompressionBombError:  # parsers of animations check a second time
        with _PILLOWS_LIMIT.lifted_for(float("inf")):
            return _parse(data)


def _parse(data: bytes) -> Any:
    from PIL import Image as PilImage

    for name, module in FORMATS.items():
        import_module(f"PIL.{module}")
        factory, accepts = PilImage.OPEN[name]
        try:
            if accepts is None or accepts(bytes(data[:_PREFIX_BYTES])) is True:
                return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # a parser's way to say that this is not its format
            continue
        except PilImage.DecompressionBombError:
            raise
        except Exception as error:  # a damaged header raises whatever its parser stumbles over
            raise DecodeError(f"header: {error or type(error).__name__}") from error
    raise DecodeError(f"not an image in a known format ({', '.join(FORMATS)})")
