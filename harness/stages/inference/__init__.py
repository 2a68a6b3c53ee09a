"""Inference: one file a runtime, each a BatchingStage."""

from __future__ import annotations

import numpy as np

from harness.errors import ScenarioError
from harness.scenario.model import Inference
from harness.stages.base import Payload, StageSpec, Tensor


def spec(options: Inference, given: Payload) -> StageSpec:
    """A float32 (3, height, width) tensor goes in; float32 (classes,) logits come out."""
    if not (isinstance(given, Tensor) and len(given.shape) == 3 and given.shape[0] == 3 and given.dtype == np.float32):
        raise ScenarioError(
            f"inference takes a float32 tensor of 3 channels, and would get {given}",
            hint="Put preprocess in front of it.",
        )
    return StageSpec(Tensor((options.classes,), np.float32))
