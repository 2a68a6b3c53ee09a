"""Runtimes, opened the way a worker opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.stages import build
from harness.stages.inference import InferenceStage
from tests.pipelines import plan
from tests.runtimes.networks import CLASSES, SHAPE, SIDE, Network, onnx_file

FACTORY = {"factory": "tests.runtimes.networks:network"}
READS_ONNX = ("onnxruntime", "openvino")


def stage(**options: Any) -> InferenceStage:
    """An inference stage behind a preprocessing to 32x32, not yet open."""
    planned = plan(
        {"preprocess": {"resize": 36, "crop": SIDE}},
        {"inference": {"model": FACTORY, "classes": CLASSES, **options}},
        load={"arrivals": "closed", "requests": 1},
    )
    made = build(planned.context(planned.stages[1]))
    assert isinstance(made, InferenceStage)
    return made


def model_for(runtime: str, folder: Path) -> dict[str, str]:
    """The same network for any runtime: its ONNX file where that spares an export. Skips what is not installed."""
    if runtime not in READS_ONNX:
        return FACTORY
    pytest.importorskip(runtime)
    pytest.importorskip("onnx")
    return {"onnx": str(onnx_file(folder / "network.onnx", network()))}


def network() -> Network:
    """With the weights that a stage's seed gives."""
    torch.manual_seed(stage()._setup.seed)
    return Network().eval()


def inputs(count: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


def answers(opened: InferenceStage, given: Any) -> Any:
    """One request at a time."""
    made = np.empty((len(given), CLASSES), np.float32)
    for item, out in zip(given, made, strict=True):
        opened.process(item, out, 0)
    return made


def expected(given: Any) -> Any:
    """What the network itself says, without the harness."""
    with torch.inference_mode():
        return network()(torch.from_numpy(given)).numpy()
