"""Inference: one file a runtime, each a Runtime (see base.py); `stage` puts any of them into a pipeline.

`runtime_for` is the one place that knows them all. What a runtime needs beside torch is an extra of the package.
"""

from __future__ import annotations

import numpy as np

from harness.errors import ScenarioError
from harness.scenario.model import Inference, Preprocess
from harness.stages.base import Payload, StageContext, StageSpec, Tensor
from harness.stages.inference.base import CUDA_PARTS, Runtime, Setup
from harness.stages.inference.stage import InferenceStage

__all__ = ["InferenceStage", "Runtime", "Setup", "build", "runtime_for", "setup_of", "spec"]


def spec(options: Inference, given: Payload) -> StageSpec:
    """A float32 (3, height, width) tensor goes in; float32 (classes,) logits come out."""
    if not (isinstance(given, Tensor) and len(given.shape) == 3 and given.shape[0] == 3 and given.dtype == np.float32):
        raise ScenarioError(
            f"inference takes a float32 tensor of 3 channels, and would get {given}",
            hint="Put preprocess in front of it.",
        )
    return StageSpec(Tensor((options.classes,), np.float32), CUDA_PARTS if options.device == "cuda" else ())


def setup_of(context: StageContext) -> Setup:
    """What a stage's runtime is opened from."""
    assert isinstance(context.input, Tensor)
    before = [options for options in context.upstream if isinstance(options, Preprocess)]
    return Setup(
        options=context.options,
        shape=context.input.shape,
        max_batch=context.max_batch,
        seed=int(context.seed.generate_state(1)[0]),
        preprocess=before[-1] if before else None,
        profiling=context.sampling.folder if context.sampling else "",
    )


def build(context: StageContext) -> InferenceStage:
    """A worker's instance of an inference stage."""
    setup = setup_of(context)
    return InferenceStage(runtime_for(setup), setup, context)


def runtime_for(setup: Setup) -> Runtime:
    """The runtime that the options name, not yet open."""
    match setup.options.runtime:
        case "torch":
            from harness.stages.inference.torch import TorchRuntime

            return TorchRuntime(setup)
        case "torch.compile":
            from harness.stages.inference.torch_compile import CompiledRuntime

            return CompiledRuntime(setup)
        case "torchscript":
            from harness.stages.inference.torchscript import TorchScriptRuntime

            return TorchScriptRuntime(setup)
        case "torch.export":
            from harness.stages.inference.torch_export import ExportedRuntime

            return ExportedRuntime(setup)
        case "onnxruntime":
            from harness.stages.inference.onnxruntime import OnnxRuntime

            return OnnxRuntime(setup)
        case "openvino":
            from harness.stages.inference.openvino import OpenVinoRuntime

            return OpenVinoRuntime(setup)
