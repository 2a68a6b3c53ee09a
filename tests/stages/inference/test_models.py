"""Models: what inference answers, in batches too, and where weights may come from."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.kernels.torchvision_import import import_torchvision

from harness.errors import ScenarioError
from harness.plan import resolve
from harness.stages import build
from tests.pipelines import scenario
from tests.stages.opening import CLOSED, opened


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
