"""The stages: one module a kind. It holds the kind's options (see options.py), which say what it makes of its input and
build the instances that workers run (see base.py). The kinds are listed in harness.registry.

Heavy libraries are imported when a worker opens its instance.
"""

from __future__ import annotations

from harness.stages.base import (
    BatchingStage,
    Images,
    Opened,
    Payload,
    RequestError,
    Sampling,
    Stage,
    StageContext,
    StageSpec,
    Tensor,
)
from harness.stages.options import Batch, BatchingOptions, StageOptions

__all__ = [
    "Batch",
    "BatchingOptions",
    "BatchingStage",
    "Images",
    "Opened",
    "Payload",
    "RequestError",
    "Sampling",
    "Stage",
    "StageContext",
    "StageOptions",
    "StageSpec",
    "Tensor",
    "build",
]


def build(context: StageContext) -> Stage:
    """A worker's instance of a stage; `open` it before use."""
    stage: Stage = context.options.build(context)
    if context.sampling is None:
        return stage
    from harness.stages.profiling import ProfiledStage

    return ProfiledStage(stage, context.sampling)
