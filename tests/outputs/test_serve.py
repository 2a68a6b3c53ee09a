"""The process that serves images for their outputs: real stages, in batches, a corrupt image among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.outputs.serve import serve
from harness.stages import build
from harness.stages.postprocess import RANKED
from harness.studies.accuracy.dataset import of_folder
from tests.pipelines import plan

CLOSED = {"arrivals": "closed", "requests": 1}


STAGES: tuple[dict[str, Any], ...] = (
    {"preprocess": {"resize": 40, "crop": 32}},
    {"inference": {"model": "squeezenet1_1", "classes": 12, "batch": {"max": 3}}},
    {"postprocess": {"top_k": 3}},
)


@pytest.mark.slow
def test_the_outputs_are_those_of_the_stages_alone(tmp_path: Path) -> None:
    """Seven images in batches of three, one of them corrupt: each is where it belongs, and the model is really run."""
    rng = np.random.default_rng(1)
    for index in range(7):
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    planned = plan(*STAGES, load=CLOSED, source={"as": "encoded"})
    files = of_folder(tmp_path, planned.scenario.source, 12, None)
    done: list[int] = []
    found = serve(planned, planned.stages, files.images, 1, done.append)
    assert found.served.tolist() == [True, True, True, False, True, True, True]
    assert "not an image" in found.failures[3]
    assert done[-1] == 7
    preprocess, inference, postprocess = (build(planned.context(stage)) for stage in planned.stages)
    for stage in (preprocess, inference, postprocess):
        stage.open()
    pixels, logits, top = np.empty((3, 32, 32), np.float32), np.empty(12, np.float32), np.empty(3, RANKED)
    for index in np.flatnonzero(found.served).tolist():
        preprocess.process(files.images[index], pixels, index)
        inference.process(pixels, logits, index)
        np.testing.assert_allclose(found.values[index], logits, rtol=1e-4, atol=1e-5)
        assert found.answers[index] == postprocess.process(found.values[index], top, index)
