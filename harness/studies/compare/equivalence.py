"""Sameness before speed: what the sides make of the same images, through the stages that their workers build.

Compared are the output of preprocessing, the logits, and the most probable class. A faster side counts only if it
answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, UsageError
from harness.outputs.serve import serve
from harness.plan import Plan
from harness.scenario import Inference, Preprocess
from harness.scenario.model import Source
from harness.stages import source
from harness.stages.source import ImageSet
from harness.studies.variants import Variant

KINDS = {"tensor": Preprocess, "logits": Inference}
"""What is compared, and the kind of stage that makes it; of several such stages the last one."""


@dataclass(frozen=True)
class Tolerance:
    """Limits on the difference between two sides; None does not judge. top1: the least share of equal answers.

    tensor: in normalised units; one grey level of 255 is 0.017 with ImageNet's mean and std.
    """

    tensor: float | None = 0.05
    logits: float | None = None
    top1: float | None = None

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Tolerance:
        """From `tensor=0.1`, `logits=0.5`, `top1=0.99` over the default; `none` judges nothing. Raises UsageError."""
        limits = cls()
        for text in texts:
            key, _, value = text.partition("=")
            if text == "none":
                limits = cls(tensor=None)
                continue
            try:
                number = float(value)
            except ValueError:
                number = -1.0
            if key not in cls.__dataclass_fields__ or not number >= 0.0:
                raise UsageError(
                    "expected tensor=X, logits=X or top1=X with X at least 0, or none", where=f"--tolerance {text}"
                )
            limits = replace(limits, **{key: number})
        return limits


def examine(
    sides: Sequence[Variant], tolerance: Tolerance, count: int, observe: Callable[[Variant], None] = lambda side: None
) -> dict[str, Any]:
    """Take up to `count` images of their source through every side, and hold each against the first.

    Raises what a side met as a HarnessError. Sides without images (delay, null) are skipped, with the reason.
    """
    if not count or not all(_made(side.plan) for side in sides):
        return {"skipped": "no images were asked for" if not count else "there is nothing to compare but times"}
    outputs = []
    with ExitStack() as opened:
        loaded: dict[Source, ImageSet] = {}
        for side in sides:
            observe(side)
            try:
                outputs.append(_outputs(side.plan, _images(side.plan, loaded, opened, count)))
            except HarnessError as error:
                error.where = f"side {side.name}: {error.where}" if error.where else f"side {side.name}"
                raise
    pairs = [
        {"a": sides[0].name, "b": side.name, **_pair(outputs[0], found, tolerance)}
        for side, found in zip(sides[1:], outputs[1:], strict=True)
    ]
    return {
        "images": len(next(iter(outputs[0].values())).served),
        "tolerance": {key: getattr(tolerance, key) for key in Tolerance.__dataclass_fields__},
        "pairs": pairs,
        "met": not any(pair["misses"] for pair in pairs),
    }


@dataclass(frozen=True)
class StageOutput:
    """What one stage made of n images. values: (n, *shape); served: (n,), whether the image got so far."""

    values: NDArray[Any]
    served: NDArray[np.bool_]


def _made(plan: Plan) -> dict[str, int]:
    """The indices of the stages whose outputs are compared, by what they make."""
    return {
        what: stage.index for what, kind in KINDS.items() for stage in plan.stages if isinstance(stage.options, kind)
    }


def _images(plan: Plan, loaded: dict[Source, ImageSet], opened: ExitStack, count: int) -> ImageSet:
    """The first images of its source, which sides share. Raises UsageError where sources differ in their number."""
    wanted = plan.scenario.source
    if wanted not in loaded:
        loaded[wanted] = source.load(wanted, plan.seed("content"), plan.seed("images"))
        opened.callback(loaded[wanted].close)
        if len({min(count, len(images)) for images in loaded.values()}) > 1:
            raise UsageError(
                "the sources of the sides hold different numbers of images",
                where="source",
                hint="Give all sides the same images, or use --images N with what all have.",
            )
    return replace(loaded[wanted], entries=loaded[wanted].entries[:count])


def _outputs(plan: Plan, images: ImageSet) -> dict[str, StageOutput]:
    made = {}
    for what, index in _made(plan).items():
        found = serve(plan, plan.stages[: index + 1], images, index)
        made[what] = StageOutput(found.values, found.served)
    return made


def _pair(a: Mapping[str, StageOutput], b: Mapping[str, StageOutput], tolerance: Tolerance) -> dict[str, Any]:
    found: dict[str, Any] = {what: _difference(a[what], b[what]) for what in KINDS if what in a and what in b}
    if "logits" in found and "largest" in found["logits"]:
        found["top1"] = _agreement(a["logits"], b["logits"])
    return {**found, "misses": list(_misses(found, tolerance))}


def _difference(a: StageOutput, b: StageOutput) -> dict[str, Any]:
    """Largest and mean absolute difference over the images that both served."""
    shapes = ["x".join(map(str, made.values.shape[1:])) for made in (a, b)]
    both = a.served & b.served
    found: dict[str, Any] = {"images": int(both.sum()), "one_side_only": int((a.served ^ b.served).sum())}
    if shapes[0] != shapes[1]:
        return {**found, "shapes": shapes}
    if not both.any():
        return found
    apart = np.abs(a.values[both].astype(np.float64) - b.values[both].astype(np.float64))
    return {**found, "largest": float(apart.max()), "mean": float(apart.mean())}


def _agreement(a: StageOutput, b: StageOutput) -> dict[str, int]:
    both = a.served & b.served
    same = a.values[both].argmax(axis=1) == b.values[both].argmax(axis=1)
    return {"same": int(same.sum()), "of": len(same)}


def _misses(found: Mapping[str, Any], tolerance: Tolerance) -> Sequence[str]:
    """Why a pair is not the same, in words."""
    misses = []
    for what, name in (("tensor", "the preprocessed tensors"), ("logits", "the logits")):
        limit, difference = getattr(tolerance, what), found.get(what)
        if limit is None or difference is None:
            continue
        if "shapes" in difference:
            misses.append(f"{name} have different shapes, {' and '.join(difference['shapes'])}")
        elif difference["one_side_only"]:
            misses.append(f"{difference['one_side_only']} images fail on one side only")
        elif "largest" in difference and not difference["largest"] <= limit:
            misses.append(f"{name} differ by up to {difference['largest']:.3g}, and {limit:g} is allowed")
    agreement = found.get("top1")
    if tolerance.top1 is not None and agreement and agreement["same"] < tolerance.top1 * agreement["of"]:
        share = f"{agreement['same']} of {agreement['of']}"
        misses.append(f"top-1 answers are the same for {share} images, and {tolerance.top1:.1%} are asked for")
    return misses
