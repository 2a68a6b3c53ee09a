"""Equivalence before speed: the outputs of all sides for the same images, through the stages that their workers build.

Compared are the preprocessed tensors, the logits, and the most probable class. A side that is faster and computes
something else is no improvement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.documents import Document, Number
from harness.errors import HarnessError, UsageError
from harness.outputs.serve import serve
from harness.plan import Plan
from harness.scenario import Inference, Preprocess
from harness.scenario.model import Source
from harness.stages import source
from harness.stages.source import ImageSet
from harness.studies.variants import Variant

KINDS = {"tensor": Preprocess, "logits": Inference}
"""The outputs that are compared, and the kind of stage that computes each; of several such stages the last one."""
NAMES = {"tensor": "the preprocessed tensors", "logits": "the logits"}


@dataclass(frozen=True)
class Tolerance:
    """Limits on the difference between two sides; None sets no limit.

    tensor: largest difference in normalised units; one grey level of 255 is 0.017 with ImageNet's mean and std.
    logits: largest difference of a logit. top1: least share of images with the same most probable class.
    """

    tensor: float | None = 0.05
    logits: float | None = None
    top1: float | None = None

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Tolerance:
        """`tensor=0.1`, `logits=0.5`, `top1=0.99` over the defaults; `none` sets no limit. Raises UsageError."""
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


class OutputDifference(Document):
    """One kind of output on two sides, over the images that both served."""

    images: int
    """How many these are."""
    one_side_only: int
    """Images that one side served and the other did not."""
    shapes: tuple[str, str] | None = None
    """The shapes of an output on both sides, such as 3x224x224, where they differ."""
    largest: Number = None
    """Largest absolute difference of an element; None where shapes differ or no image was served by both."""
    mean: Number = None
    """Mean absolute difference."""


class Top1Agreement(Document):
    """How often two sides have the same most probable class."""

    same: int
    of: int
    """Images that both served."""


class OutputPair(Document):
    """The outputs of side b compared with those of side a."""

    a: str
    b: str
    tensor: OutputDifference | None = None
    logits: OutputDifference | None = None
    top1: Top1Agreement | None = None
    misses: tuple[str, ...] = ()
    """The limits of the tolerance that they miss, in words."""


class Equivalence(Document):
    """Whether all sides compute the same for the same images."""

    skipped: str | None = None
    """Why nothing was compared."""
    images: int = 0
    """Images that went through every side."""
    tolerance: Tolerance = Tolerance()
    pairs: tuple[OutputPair, ...] = ()
    """Each further side with the first."""
    met: bool = True
    """No pair misses a limit."""


def examine(
    sides: Sequence[Variant], tolerance: Tolerance, count: int, observe: Callable[[Variant], None] = lambda side: None
) -> Equivalence:
    """Take up to `count` images of their source through every side, and compare each side with the first.

    Raises HarnessError for a side that cannot serve at all. Pipelines without images (delay, null) are skipped.
    """
    if not count:
        return Equivalence(skipped="no images were asked for")
    if not all(_compared_stages(side.plan) for side in sides):
        return Equivalence(skipped="there is nothing to compare but times")
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
    pairs = tuple(
        _pair(sides[0].name, side.name, outputs[0], found, tolerance)
        for side, found in zip(sides[1:], outputs[1:], strict=True)
    )
    images = len(next(iter(outputs[0].values())).served)
    return Equivalence(images=images, tolerance=tolerance, pairs=pairs, met=not any(pair.misses for pair in pairs))


@dataclass(frozen=True)
class StageOutput:
    """The outputs of one stage for n images. values: (n, *shape); served: (n,), false for an image that failed."""

    values: NDArray[Any]
    served: NDArray[np.bool_]


def _compared_stages(plan: Plan) -> dict[str, int]:
    """The indices of the stages whose outputs are compared, by kind of output."""
    return {
        what: stage.index for what, kind in KINDS.items() for stage in plan.stages if isinstance(stage.options, kind)
    }


def _images(plan: Plan, loaded: dict[Source, ImageSet], opened: ExitStack, count: int) -> ImageSet:
    """The first images of its source, which sides share. Raises UsageError for sources of different sizes."""
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
    outputs = {}
    for what, index in _compared_stages(plan).items():
        found = serve(plan, plan.stages[: index + 1], images, index)
        outputs[what] = StageOutput(found.values, found.served)
    return outputs


def _pair(
    a: str, b: str, of_a: Mapping[str, StageOutput], of_b: Mapping[str, StageOutput], tolerance: Tolerance
) -> OutputPair:
    differences = {what: _difference(of_a[what], of_b[what]) for what in KINDS if what in of_a and what in of_b}
    logits = differences.get("logits")
    top1 = None if logits is None or logits.largest is None else _agreement(of_a["logits"], of_b["logits"])
    found: dict[str, Any] = {**differences, **({} if top1 is None else {"top1": top1})}
    return OutputPair(a=a, b=b, **found, misses=tuple(_misses(differences, top1, tolerance)))


def _difference(a: StageOutput, b: StageOutput) -> OutputDifference:
    """Over the images that both served."""
    both = a.served & b.served
    counts: dict[str, Any] = {"images": int(both.sum()), "one_side_only": int((a.served ^ b.served).sum())}
    shape_a, shape_b = ("x".join(map(str, output.values.shape[1:])) for output in (a, b))
    if shape_a != shape_b:
        return OutputDifference(**counts, shapes=(shape_a, shape_b))
    if not both.any():
        return OutputDifference(**counts)
    apart = np.abs(a.values[both].astype(np.float64) - b.values[both].astype(np.float64))
    return OutputDifference(**counts, largest=float(apart.max()), mean=float(apart.mean()))


def _agreement(a: StageOutput, b: StageOutput) -> Top1Agreement:
    both = a.served & b.served
    same = a.values[both].argmax(axis=1) == b.values[both].argmax(axis=1)
    return Top1Agreement(same=int(same.sum()), of=len(same))


def _misses(
    differences: Mapping[str, OutputDifference], top1: Top1Agreement | None, tolerance: Tolerance
) -> Iterator[str]:
    """The limits that a pair misses, in words."""
    for what, difference in differences.items():
        limit, name = getattr(tolerance, what), NAMES[what]
        if limit is None:
            continue
        if difference.shapes is not None:
            yield f"{name} have different shapes, {' and '.join(difference.shapes)}"
        elif difference.one_side_only:
            yield f"{difference.one_side_only} images fail on one side only"
        elif difference.largest is not None and not difference.largest <= limit:
            yield f"{name} differ by up to {difference.largest:.3g}, and {limit:g} is allowed"
    if tolerance.top1 is not None and top1 is not None and top1.same < tolerance.top1 * top1.of:
        share = f"{top1.same} of {top1.of}"
        yield f"the most probable class is the same for {share} images, and {tolerance.top1:.1%} are asked for"
