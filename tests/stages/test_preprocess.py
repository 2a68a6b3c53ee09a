"""Preprocess: pixels and files alike, recipes of weights, scaled decoding, and images that fail their request alone."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import ScenarioError
from harness.stages import RequestError, build, source
from tests.pipelines import plan
from tests.stages.opening import CLOSED, opened


@pytest.mark.parametrize("backend", ["numba", "torchvision", "torchvision-pil"])
def test_preprocess_takes_pixels_and_files_alike(backend: str) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (60, 90, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    raw = opened({"preprocess": {"backend": backend, "resize": 40, "crop": 32}})
    encoded = opened({"preprocess": {"backend": backend, "resize": 40, "crop": 32}}, source={"as": "encoded"})
    from_pixels, from_file = np.empty((3, 32, 32), np.float32), np.empty((3, 32, 32), np.float32)
    raw.process(pixels, from_pixels, 0)
    encoded.process(memoryview(buffer.getvalue()), from_file, 0)
    np.testing.assert_array_equal(from_pixels, from_file)
    assert len(encoded.part_ns) == 2
    assert min(encoded.part_ns) > 0


def test_bytes_that_are_no_image_fail_their_request_only() -> None:
    stage = opened({"preprocess": {"resize": 40, "crop": 32}}, source={"as": "encoded"})
    out = np.empty((3, 32, 32), np.float32)
    with pytest.raises(RequestError):
        stage.process(memoryview(b"not an image"), out, 0)
    good = io.BytesIO()
    Image.new("RGB", (50, 50)).save(good, "JPEG")
    stage.process(memoryview(good.getvalue()), out, 1)


def test_a_recipe_is_taken_from_the_models_weights() -> None:
    """inception_v3 was trained on 299x299 crops of 342, normalised as all of torchvision's models."""
    planned = plan({"preprocess": {"recipe": "auto"}}, {"inference": {"model": "inception_v3"}}, load=CLOSED)
    options: Any = planned.stages[0].options
    assert (options.resize, options.crop, options.filter) == (342, 299, "bilinear")
    assert planned.stages[1].input.shape == (3, 299, 299)  # type: ignore[union-attr]
    assert planned.scenario.stages[0] == options, "the scenario as run has the sizes, not auto"


def test_a_recipe_without_a_model_is_a_clear_error() -> None:
    with pytest.raises(ScenarioError, match="needs an inference stage"):
        plan({"preprocess": {"recipe": "auto"}}, load=CLOSED)


def test_scaled_decoding_changes_little_and_says_how_much() -> None:
    planned = plan(
        {"preprocess": {"resize": 72, "crop": 64, "scaled_decode": True}},
        load=CLOSED,
        source={"images": "photos", "as": "encoded", "height": 600, "width": 800},
    )
    images = source.load(planned.scenario.source, planned.seed("content"))
    stage = build(replace(planned.context(planned.stages[0]), images=images))
    found = stage.open().effective["scaled_decode_difference"]
    assert found["images"] == 8
    assert 0 < found["mean"] < 0.1
    whole = opened({"preprocess": {"resize": 72, "crop": 64}}, source={"as": "encoded"})
    scaled, full = np.empty((3, 64, 64), np.float32), np.empty((3, 64, 64), np.float32)
    worst = 0.0
    for index in range(8):
        stage.process(images[index], scaled, 0)
        whole.process(images[index], full, 0)
        worst = max(worst, float(np.abs(scaled - full).max()))
    assert worst == pytest.approx(found["largest"], rel=1e-5)
    images.close()


def test_exif_orientation_is_followed_when_asked_for() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    top_white = np.zeros((64, 64, 3), np.uint8)
    top_white[:32] = 255
    buffer = io.BytesIO()
    Image.fromarray(top_white).save(buffer, "JPEG", exif=exif)
    out = np.empty((3, 32, 32), np.float32)
    for orient, brighter in ((False, "top"), (True, "bottom")):
        stage = opened({"preprocess": {"resize": 40, "crop": 32, "orient": orient}}, source={"as": "encoded"})
        stage.process(memoryview(buffer.getvalue()), out, 0)
        assert ("top" if out[:, :10].mean() > out[:, -10:].mean() else "bottom") == brighter


def test_options_that_only_files_have_are_refused_for_pixels() -> None:
    for option in ("orient", "scaled_decode"):
        with pytest.raises(ScenarioError, match=f"{option} goes with encoded images"):
            plan({"preprocess": {"resize": 40, "crop": 32, option: True}}, load=CLOSED)


def test_an_image_above_the_limit_on_pixels_fails_its_request() -> None:
    planned = plan({"preprocess": {"resize": 40, "crop": 32}}, load=CLOSED, source={"as": "encoded"})
    stage = build(replace(planned.context(planned.stages[0]), max_pixels=2499))
    stage.open()
    image = io.BytesIO()
    Image.new("RGB", (50, 50)).save(image, "PNG")
    with pytest.raises(RequestError, match="50x50 pixels exceed the limit of 2499"):
        stage.process(memoryview(image.getvalue()), np.empty((3, 32, 32), np.float32), 0)


@pytest.mark.parametrize("form", ["raw", "encoded"])
@pytest.mark.parametrize("backend", ["numba", "native", "torchvision", "torchvision-pil"])
def test_a_long_narrow_image_fails_its_request_with_every_backend(backend: str, form: str) -> None:
    options = {"resize": 256, "crop": 224, "backend": backend}
    planned = plan({"preprocess": options}, load=CLOSED, source={"as": form})
    stage = build(planned.context(planned.stages[0]))
    stage.open()
    out = np.empty((3, 224, 224), np.float32)

    def request(height: int, width: int) -> Any:
        pixels = np.zeros((height, width, 3), np.uint8)
        if form == "raw":
            return pixels
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return memoryview(buffer.getvalue())

    with pytest.raises(RequestError, match="1x4000 resizes to 256x1024000 pixels, more than the limit of 100,000,000"):
        stage.process(request(4000, 1), out, 0)
    stage.process(request(300, 400), out, 1)


def test_the_difference_of_scaled_decoding_leaves_out_what_the_resize_would_make_too_large(tmp_path: Path) -> None:
    for name, size in (("long.jpg", (1, 4000)), ("usual.jpg", (640, 480))):
        Image.new("RGB", size).save(tmp_path / name)
    options = {"resize": 256, "crop": 224, "backend": "torchvision", "scaled_decode": True}
    planned = plan({"preprocess": options}, load=CLOSED, source={"as": "encoded", "images": str(tmp_path)})
    images = source.load(planned.scenario.source, planned.seed("content"))
    stage = build(replace(planned.context(planned.stages[0]), images=images))
    assert stage.open().effective["scaled_decode_difference"]["images"] == 1
    images.close()
