"""All images through the reference and through every variant.

The reference is the stack that weights are trained and evaluated with: float32 in torch's eager mode after
torchvision's own preprocessing. Each variant runs the stages that `run` measures, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import HarnessError, RunFailed, ScenarioError, UsageError
from harness.outputs.serve import Outputs, serve
from harness.plan import Plan, StagePlan, resolve
from harness.scenario.model import Inference, Postprocess, Preprocess
from harness.stages.inference.runtimes import taking
from harness.studies.accuracy.dataset import Dataset
from harness.studies.accuracy.document import EVALUATION, AccuracyDocument, VariantResult
from harness.studies.accuracy.judge import Judge, Limits, gates
from harness.studies.variants import Variant

REFERENCE = "reference"
REASONS = 3

Observer = Callable[[str, int, int], None]
"""Called with a variant's label, the number of images done, and the number of images."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that has ended. error: of the first variant that could not be run."""

    document: AccuracyDocument
    error: HarnessError | None = None


def evaluate(
    given: Plan,
    variants: Sequence[Variant],
    dataset: Dataset,
    data: str,
    limits: Limits,
    observe: Observer = lambda name, done, of: None,
    left_out: Sequence[str] = (),
) -> Evaluation:
    """Run all images through the reference and every variant. data: a name for the images.

    A variant that cannot be run has an error instead of figures. After Ctrl-C there are those that are complete. Raises
    UsageError for limits without labels, and any error of the reference.
    """
    if dataset.labels is None and (limits.top1 is not None or limits.drop is not None):
        option = "--min-top1" if limits.top1 is not None else "--max-drop"
        raise UsageError("a limit on accuracy needs labelled images", where=option, hint="Give them with --data.")
    plan = reference(given)
    for variant in variants:
        if inference_of(variant.plan).output != inference_of(plan).output:
            raise UsageError(
                f"{variant.label}: its number of classes is not the reference's", hint="Evaluate it alone."
            )
    expected = _outputs(plan, REFERENCE, dataset, observe)
    if not expected.served.any():
        reasons = "".join(f"\n  {dataset.names[i]}: {why}" for i, why in list(expected.failures.items())[:REASONS])
        raise RunFailed(f"none of the {len(expected.served)} images could be served{reasons}", where=data)
    judge = Judge(dataset, expected)
    results = [judge.expected(expected, REFERENCE)]
    interrupted, first_error = False, None
    for variant in variants:
        try:
            same = stages_of(variant.plan) == stages_of(plan)
            outputs = expected if same else _outputs(variant.plan, variant.label, dataset, observe)
            results.append(judge.result(outputs, variant.label, variant.own))
        except HarnessError as error:
            first_error = first_error or error
            why, details = str(error), error.details
            results.append(VariantResult(variant=variant.label, overrides=variant.own, error=why, details=details))
        except KeyboardInterrupt:
            interrupted = True
            break
    document = AccuracyDocument(
        schema_version=EVALUATION.version,
        scenario=plan.scenario.name,
        reference=describe(plan),
        data=data,
        images=int(expected.served.sum()),
        classes=expected.values.shape[1],
        mapped_by=dataset.mapped_by,
        outside=dataset.outside,
        unreadable={dataset.names[index]: why for index, why in expected.failures.items()},
        lead_p50=judge.lead_p50,
        results=tuple(results),
        gates=tuple(gate for result in results[1:] for gate in gates(result, limits)),
        warnings=tuple(judge.warnings(results)),
        left_out=tuple(left_out),
        interrupted=interrupted,
        error=None if first_error is None else str(first_error),
    )
    return Evaluation(document, first_error)


def reference(plan: Plan) -> Plan:
    """The same model, float32 on the CPU in torch's eager mode, after torchvision's preprocessing.

    A model that is a file of another runtime runs in that one; a user's own preprocessing stays.
    """
    stages = []
    for stage in plan.scenario.stages:
        if isinstance(stage, Preprocess) and stage.factory is None:
            backend = "torchvision" if stage.filter in ("bilinear", "bicubic") else "torchvision-pil"
            stage = stage.model_copy(update={"backend": backend, "scaled_decode": False})
        elif isinstance(stage, Inference):
            plain = {"runtime": taking(stage.form)[0], "precision": "float32", "device": "cpu", "channels_last": False}
            stage = stage.model_copy(update=plain)
        stages.append(stage)
    return resolve(plan.scenario.model_copy(update={"stages": tuple(stages)}))


def describe(plan: Plan) -> str:
    """Backend of the preprocessing, runtime and precision: "torchvision, torch float32"."""
    parts = [s.options.factory or s.options.backend for s in plan.stages if isinstance(s.options, Preprocess)]
    inference = inference_of(plan).options
    assert isinstance(inference, Inference)
    device = f" on {inference.device}" if inference.device != "cpu" else ""
    return ", ".join([*parts, f"{inference.runtime} {inference.precision}{device}"])


def inference_of(plan: Plan) -> StagePlan:
    """The last inference stage. Raises ScenarioError when there is none."""
    found = [stage for stage in plan.stages if isinstance(stage.options, Inference)]
    if not found:
        raise ScenarioError("accuracy needs an inference stage", where=f"{plan.scenario.name}: stages")
    return found[-1]


def stages_of(plan: Plan) -> tuple[StagePlan, ...]:
    """The stages up to the inference, and a postprocess that follows it."""
    last = inference_of(plan).index
    following = plan.stages[last + 1 : last + 2]
    return (*plan.stages[: last + 1], *(s for s in following if isinstance(s.options, Postprocess)))


def _outputs(plan: Plan, name: str, dataset: Dataset, observe: Observer) -> Outputs:
    """All images through a pipeline. A last stage that predicts nothing leaves the class of the largest logit."""
    kept, count = inference_of(plan).index, len(dataset.names)
    observe(name, 0, count)
    outputs = serve(plan, stages_of(plan), dataset.images, kept, lambda done: observe(name, done, count))
    return replace(outputs, answers=np.where(outputs.answers < 0, outputs.values.argmax(axis=1), outputs.answers))
