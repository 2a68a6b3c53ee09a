"""A model of torch as one ONNX file with a dynamic batch."""

from __future__ import annotations

import warnings
from pathlib import Path

from harness.stages.inference.artifacts import EXPORTED
from harness.stages.inference.base import Setup
from harness.stages.inference.models import torch_module, with_one_output


def write(setup: Setup, folder: Path) -> None:
    """Write EXPORTED into `folder`: input `images` (batch, 3, height, width), output `answers` (batch, outputs)."""
    import torch

    module = with_one_output(torch_module(setup), setup.options.output)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch deprecates in itself is not the user's
        program = torch.onnx.export(
            module,
            (torch.zeros((2, *setup.shape)),),
            input_names=["images"],
            output_names=["answers"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(folder / EXPORTED, external_data=False)
