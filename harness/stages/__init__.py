"""The stages: what each kind makes of its input (`spec`, for the Plan) and the instance a worker runs (`build`).

A kind is one module with a `spec` function and a class; heavy libraries are imported when a worker opens it.
"""

from __future__ import annotations

from harness.scenario.model import Delay, Inference, Null, Postprocess, Preprocess, Scenario, StageOptions
from harness.stages import inference, postprocess, preprocess, synthetic
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

__all__ = [
    "BatchingStage",
    "Images",
    "Opened",
    "Payload",
    "RequestError",
    "Sampling",
    "Stage",
    "StageContext",
    "StageSpec",
    "Tensor",
    "build",
    "resolved",
    "spec",
]


def spec(options: StageOptions, given: Payload) -> StageSpec:
    """What a stage with these options makes of `given`. Raises ScenarioError when it cannot take it."""
    match options:
        case Preprocess():
            return preprocess.spec(options, given)
        case Inference():
            return inference.spec(options, given)
        case Postprocess():
            return postprocess.spec(options, given)
        case Null() | Delay():
            return synthetic.spec(options, given)
    raise TypeError(f"no stage for {type(options).__name__}")


def resolved(options: StageOptions, scenario: Scenario) -> StageOptions:
    """Options with what they take from elsewhere in the scenario filled in. Raises ScenarioError."""
    if isinstance(options, Preprocess):
        models = [s.model for s in scenario.stages if isinstance(s, Inference)]
        return preprocess.resolved(options, [name for name in models if isinstance(name, str)])
    return options


def build(context: StageContext) -> Stage:
    """A worker's instance of a stage; `open` it before use."""
    stage = _build(context)
    if context.sampling is None:
        return stage
    from harness.stages.profiling import ProfiledStage

    return ProfiledStage(stage, context.sampling)


def _build(context: StageContext) -> Stage:
    match context.options:
        case Preprocess():
            return preprocess.PreprocessStage(context)
        case Inference():
            return inference.build(context)
        case Postprocess():
            own = context.options.factory is not None
            return postprocess.OwnPostprocessStage(context) if own else postprocess.PostprocessStage(context)
        case Null():
            return synthetic.NullStage(context)
        case Delay():
            return synthetic.DelayStage(context)
    raise TypeError(f"no stage for {type(context.options).__name__}")
