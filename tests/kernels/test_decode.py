"""Encoded images: what is decoded, what is refused, and what scaled decoding changes."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from harness.kernels import Recipe, load
from harness.kernels.decode import DecodeError, decode, probe, scaled_decode_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image


def photo(height=60, width=90, channels=3):
    """Smooth enough to survive a JPEG."""
    y, x = np.mgrid[:height, :width]
    planes = [128 + 100 * np.sin(x / (7.0 + c) + c) * np.cos(y / 9.0) for c in range(channels)]
    return np.stack(planes, axis=2).astype(np.uint8)


def encoded(image, format_name, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format_name", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {})]
)
def test_lossless_formats_come_back_as_they_were(format_name, options):
    data = encoded(photo(), format_name, **options)
    header = probe(data)
    assert (header.format, header.width, header.height, header.pixels) == (format_name, 90, 60, 5400)
    np.testing.assert_array_equal(decode(data), photo())


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=str)
def test_jpeg_is_within_its_own_loss(options):
    data = encoded(photo(), "JPEG", quality=95, **options)
    assert probe(data).format == "JPEG"
    got = decode(data)
    assert got.shape == (60, 90, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - photo()).mean() < 4


def test_every_kind_of_pixel_becomes_rgb():
    rgb = Image.fromarray(photo())
    grey16 = (np.arange(5400, dtype=np.uint16) * 12).reshape(60, 90)
    grey = encoded(rgb.convert("L"), "JPEG")
    assert (np.ptp(decode(grey), axis=2) == 0).all()
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(grey16), "PNG"))[:, :, 0], grey16 >> 8)
    np.testing.assert_array_equal(decode(encoded(rgb.quantize(16), "PNG")), np.asarray(rgb.quantize(16).convert("RGB")))
    np.testing.assert_array_equal(decode(encoded(rgb.convert("RGBA"), "PNG")), photo())
    np.testing.assert_array_equal(
        decode(encoded(rgb.convert("LA"), "PNG")), np.asarray(rgb.convert("L").convert("RGB"))
    )
    np.testing.assert_array_equal(decode(encoded(rgb.convert("1"), "PNG")), np.asarray(rgb.convert("1").convert("RGB")))
    cmyk = encoded(rgb.convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode(cmyk).astype(int) - photo()).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_when_asked_for(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(), "PNG", exif=exif)
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a),
    }[orientation](photo())
    np.testing.assert_array_equal(decode(data, orient=True), upright)
    np.testing.assert_array_equal(decode(data), photo())


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncated_files_are_refused_with_a_reason(format_name):
    data = encoded(photo(), format_name)
    for end in (0, 1, 3, 10, len(data) // 2, len(data) - len(data) // 8):
        with pytest.raises(DecodeError) as caught:
            decode(data[:end])
        assert caught.value.reason


def lying_png(width, height):
    """A PNG whose header claims any size and whose data is that of one pixel."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\1\2\3")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def lying_jpeg(width, height):
    """A JPEG whose frame header was changed after the fact."""
    data = bytearray(encoded(photo(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("data", [lying_png(30_000, 30_000), lying_jpeg(60_000, 60_000)], ids=["PNG", "JPEG"])
def test_the_limit_on_pixels_is_checked_before_anything_is_decoded(data):
    with pytest.raises(DecodeError):
        decode(data, max_pixels=1_000_000)


def test_the_limit_names_itself():
    with pytest.raises(DecodeError, match="90x60 pixels exceed the limit of 5399"):
        decode(encoded(photo(), "PNG"), max_pixels=5399)
    assert decode(encoded(photo(), "PNG"), max_pixels=5400).shape == (60, 90, 3)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_the_limit_of_pillow_has_no_say_and_stays_as_the_process_had_it(format_name, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = encoded(photo(), format_name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data, max_pixels=5400, orient=True).shape == (60, 90, 3)
    with pytest.raises(DecodeError, match="limit of 5399"):
        decode(data, max_pixels=5399)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_threads_that_lift_the_limit_of_pillow_put_it_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = encoded(photo(), "TIFF")
    with ThreadPoolExecutor(8) as pool:
        shapes = {pixels.shape for pixels in pool.map(lambda _: decode(data), range(400))}
    assert shapes == {(60, 90, 3)}
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize("format_name", ["EPS", "ICO", "PCX", "SGI", "TGA", "DDS", "JPEG2000", "PDF"])
def test_other_formats_are_refused_whatever_pillow_can_read(format_name):
    with pytest.raises(DecodeError, match="not an image in a known format"):
        decode(encoded(photo(64, 64), format_name))


@pytest.mark.parametrize("data", [lying_png(500, 400), lying_jpeg(900, 600)], ids=["PNG", "JPEG"])
def test_a_header_that_promises_more_than_there_is_is_refused(data):
    with pytest.raises(DecodeError):
        decode(data)


@given(
    data=st.binary(max_size=200), format_name=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), at=st.integers(0, 400)
)
@settings(max_examples=200, deadline=None)
def test_damage_never_raises_anything_else(data, format_name, at):
    whole = encoded(photo(20, 30), format_name)
    damaged = whole[:at] + data + whole[at + len(data) :]
    for candidate in (data, damaged):
        try:
            assert decode(candidate, max_pixels=100_000, orient=True).dtype == np.uint8
        except DecodeError as error:
            assert error.reason


def test_scaled_decoding_keeps_at_least_the_target_and_changes_little():
    data = encoded(photo(960, 1280), "JPEG", quality=95)
    recipe = Recipe(resize=256, crop=224)
    full, scaled = decode(data), decode(data, scaled_for=recipe)
    assert full.shape == (960, 1280, 3)
    assert 256 <= scaled.shape[0] < 960
    assert decode(data, scaled_for=(100, 100)).shape[0] == 120
    change = scaled_decode_difference(data, load("numba", recipe))
    assert (change["full"], change["scaled"]) == ((1280, 960), scaled.shape[1::-1])
    assert 0 < change["mean"] < 0.03
    assert change["mean"] < change["max"] < 0.35


@pytest.mark.parametrize("target", [(100, 300), Recipe(resize=(100, 300), crop=64)])
def test_scaled_decoding_is_large_enough_for_a_picture_that_exif_turns_to_its_side(target):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo(400, 800), "JPEG", exif=exif)  # upright: 800 high and 400 wide
    height, width, _ = decode(data, scaled_for=target, orient=True).shape
    assert (height, width) == (600, 300)


def test_scaled_decoding_never_enlarges_or_touches_other_formats():
    assert decode(encoded(photo(), "JPEG"), scaled_for=(500, 500)).shape == (60, 90, 3)
    assert decode(encoded(photo(), "PNG"), scaled_for=(10, 10)).shape == (60, 90, 3)
