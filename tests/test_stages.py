"""Each kind of stage, alone, against an independent answer."""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.kernels.torchvision_import import import_torchvision
from PIL import Image

from harness.errors import ScenarioError
from harness.plan import resolve
from harness.stages import RequestError, Stage, build, source
from harness.stages.delay import ServiceTimes
from harness.stages.postprocess import RANKED
from tests.pipelines import plan, scenario

CLOSED = {"arrivals": "closed", "requests": 1}


def opened(*kinds: dict[str, Any], source: dict[str, Any] | None = None) -> Stage:
    """The last of these stages, opened."""
    planned = plan(*kinds, load=CLOSED, **({"source": source} if source else {}))
    stage = build(planned.context(planned.stages[-1]))
    stage.open()
    return stage


def inference(**options: Any) -> Any:
    return opened({"preprocess": {"resize": 40, "crop": 32}}, {"inference": {"model": "squeezenet1_1", **options}})


def test_inference_gives_what_the_model_gives() -> None:
    import torch

    stage = inference(classes=7)
    item = np.random.default_rng(1).standard_normal((3, 32, 32)).astype(np.float32)
    out = np.empty(7, np.float32)
    stage.process(item, out, 0)
    with torch.inference_mode():
        expected = stage.runtime._module(torch.from_numpy(item)[None])[0].numpy()
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_batch_gives_what_its_members_give_alone(channels_last: bool) -> None:
    stage = inference(classes=5, batch={"max": 4}, channels_last=channels_last)
    items = list(np.random.default_rng(2).standard_normal((3, 3, 32, 32)).astype(np.float32))
    together = [r.copy() for r in stage.process_batch(items, [0, 1, 2])]
    alone = np.empty(5, np.float32)
    for item, result in zip(items, together, strict=True):
        stage.process(item, alone, 0)
        np.testing.assert_allclose(result, alone, rtol=1e-4, atol=1e-5)


def test_random_weights_are_the_same_in_every_worker_and_another_seed_gives_others() -> None:
    item = np.ones((3, 32, 32), np.float32)
    results = []
    for seed in (1, 1, 2):
        planned = resolve(
            scenario(
                {"preprocess": {"resize": 40, "crop": 32}},
                {"inference": {"model": "squeezenet1_1"}},
                load={**CLOSED, "seed": seed},
            )
        )
        stage = build(planned.context(planned.stages[1]))
        stage.open()
        out = np.empty(1000, np.float32)
        stage.process(item, out, 0)
        results.append(out)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_a_state_dict_is_loaded_from_a_file(tmp_path: Path) -> None:
    import torch

    models = import_torchvision().models
    torch.manual_seed(99)
    model = models.get_model("squeezenet1_1", weights=None, num_classes=6).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    stage = inference(classes=6, weights=str(tmp_path / "weights.pt"))
    item = np.ones((3, 32, 32), np.float32)
    out = np.empty(6, np.float32)
    stage.process(item, out, 0)
    with torch.inference_mode():
        np.testing.assert_array_equal(out, model(torch.ones(1, 3, 32, 32))[0].numpy())


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_of_weights_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pt").write_bytes(pickle.dumps({"features": _Hostile()}))
    with pytest.raises(ScenarioError, match="no state dict of squeezenet1_1"):
        inference(weights=str(tmp_path / "weights.pt"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "resnet19"}, "no classification model 'resnet19'"),
        ({"weights": "/nowhere/weights.pt"}, "no state dict"),
    ],
)
def test_a_model_that_cannot_be_had_is_a_clear_error(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        inference(**options)


def test_postprocess_ranks_the_softmax() -> None:
    import torch

    stage = opened(
        {"preprocess": {"resize": 40, "crop": 32}}, {"inference": {"classes": 50}}, {"postprocess": {"top_k": 5}}
    )
    logits = np.random.default_rng(3).standard_normal(50).astype(np.float32) * 40
    out = np.empty(5, RANKED)
    answer = stage.process(logits, out, 0)
    odds, classes = torch.softmax(torch.from_numpy(logits).double(), 0).topk(5)
    assert answer == int(classes[0])
    np.testing.assert_array_equal(out["class"], classes.numpy())
    np.testing.assert_allclose(out["probability"], odds.numpy(), rtol=1e-4)


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


def times(count: int, seed: int = 1, **options: Any) -> np.ndarray[Any, Any]:
    planned = plan({"delay": options}, load={**CLOSED, "seed": seed})
    drawn = ServiceTimes(planned.stages[0].options, planned.seed("s0"))
    return np.array([drawn[row] for row in range(count)], np.float64)


def test_service_times_have_the_moments_that_were_asked_for() -> None:
    n = 40_000
    exponential = times(n, distribution="exponential", mean="2 ms")
    assert exponential.mean() == pytest.approx(2e6, rel=4 / np.sqrt(n))
    assert exponential.std() / exponential.mean() == pytest.approx(1, rel=0.03)
    lognormal = times(n, distribution="lognormal", mean="2 ms", cv=0.5)
    assert lognormal.mean() == pytest.approx(2e6, rel=2 / np.sqrt(n))
    assert lognormal.std() / lognormal.mean() == pytest.approx(0.5, rel=0.05)
    assert (times(10, distribution="constant", mean="2 ms") == 2e6).all()


def test_empirical_service_times_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("1 ms\n3 ms  # slow\n\n")
    drawn = times(2000, distribution="empirical", file=str(tmp_path / "times.txt"))
    assert set(drawn) == {1e6, 3e6}
    assert (drawn == 1e6).mean() == pytest.approx(0.5, abs=0.05)


def test_a_rows_service_time_depends_on_nothing_but_row_and_seed() -> None:
    planned = plan({"delay": {"mean": "1 ms"}}, load=CLOSED)
    options, seed = planned.stages[0].options, planned.seed("s0")
    forwards, backwards = ServiceTimes(options, seed), ServiceTimes(options, seed)
    rows = [0, 5000, 4095, 4096, 9000]
    assert [forwards[row] for row in rows] == [backwards[row] for row in reversed(rows)][::-1]
    assert not np.array_equal(times(100, seed=1), times(100, seed=2))


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
