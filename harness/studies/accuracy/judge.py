"""Outputs against labels, and against those of the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.outputs.serve import Outputs
from harness.stats.proportions import paired_difference, share
from harness.studies.accuracy.dataset import Dataset
from harness.studies.accuracy.document import Agreement, ClassPair, GateResult, VariantResult
from harness.summary.facts import Effective

TOP = 5
PAIRS = 5
ONE_CLASS = 0.5
"""The share of predictions from which on one class dominates, so that agreement says little."""


@dataclass(frozen=True)
class Limits:
    """What every variant has to keep, as shares; None sets no limit.

    top1: least share of right predictions. agreement: least share of predictions that are the reference's. drop: how
    much less top-1 may be than the reference's.
    """

    top1: float | None = None
    agreement: float | None = None
    drop: float | None = None


class Judge:
    """Compares outputs of variants with labels and with the reference, over the images that the reference served."""

    def __init__(self, dataset: Dataset, expected: Outputs) -> None:
        self._rows = np.flatnonzero(expected.served)
        self._names = dataset.names
        self._classes = dataset.classes
        self._labels = None if dataset.labels is None else dataset.labels[self._rows]
        self._values, self._predicted = expected.values[self._rows], expected.answers[self._rows]
        self._right = None if self._labels is None else self._predicted == self._labels

    @property
    def lead_p50(self) -> float:
        """The median lead of the reference's largest logit over its second; 0 with one class only."""
        if self._values.shape[1] < 2:
            return 0.0
        second, first = np.partition(self._values, -2, axis=1)[:, -2:].T
        return float(np.median(first - second))

    def expected(self, outputs: Outputs, name: str) -> VariantResult:
        """The figures of the reference itself."""
        return self._labelled(
            VariantResult(variant=name, effective=_effective(outputs), seconds=outputs.seconds), outputs
        )

    def result(self, outputs: Outputs, label: str, overrides: tuple[str, ...]) -> VariantResult:
        """The figures of a variant."""
        found = VariantResult(
            variant=label,
            overrides=overrides,
            failures={self._names[i]: outputs.failures[i] for i in self._rows.tolist() if i in outputs.failures},
            agreement=self._agreement(outputs),
            effective=_effective(outputs),
            seconds=outputs.seconds,
        )
        found = self._labelled(found, outputs)
        if self._right is None:
            return found
        right = self._is_right(outputs)
        table = [int((right == here)[self._right == there].sum()) for here in (True, False) for there in (True, False)]
        both, here_only, there_only, neither = table
        change = paired_difference(both, here_only, there_only, neither)
        return found.model_copy(update={"top1_change": change})

    def _is_right(self, outputs: Outputs) -> NDArray[np.bool_]:
        return np.asarray(outputs.served[self._rows] & (outputs.answers[self._rows] == self._labels))

    def _labelled(self, found: VariantResult, outputs: Outputs) -> VariantResult:
        if self._labels is None:
            return found
        count, values = len(self._rows), outputs.values[self._rows]
        shares = {"top1": share(int(self._is_right(outputs).sum()), count)}
        if values.shape[1] > TOP:
            among = outputs.served[self._rows] & (ranks(values, self._labels) < TOP)
            shares["top5"] = share(int(among.sum()), count)
        return found.model_copy(update=shares)

    def _agreement(self, outputs: Outputs) -> Agreement:
        rows = self._rows
        served, values, predicted = outputs.served[rows], outputs.values[rows], outputs.answers[rows]
        usable = served & np.isfinite(values).all(axis=1) & np.isfinite(self._values).all(axis=1)
        largest = np.abs(values[usable] - self._values[usable]).max(axis=1)
        differ = np.flatnonzero(served & (predicted != self._predicted))
        theirs, ours = self._predicted[differ], predicted[differ]
        leads = self._logit(differ, theirs) - self._logit(differ, ours)
        counted = Counter(zip(theirs.tolist(), ours.tolist(), strict=True))
        pairs = tuple(
            ClassPair(
                reference=self._name(a),
                variant=self._name(b),
                count=count,
                lead=_largest(leads[(theirs == a) & (ours == b)]),
            )
            for (a, b), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
        )
        return Agreement(
            top1=share(int((served & (predicted == self._predicted)).sum()), len(self._rows)),
            difference_max=_largest(largest),
            difference_p50=float(np.median(largest)) if len(largest) else None,
            lead_max=_largest(leads),
            pairs=pairs,
            not_finite=int((served & ~usable).sum()),
        )

    def _logit(self, rows: NDArray[Any], predicted: NDArray[np.int64]) -> NDArray[np.float32]:
        """The reference's logits of these classes; NaN for what is no class: a user's postprocess may give any."""
        classes = self._values.shape[1]
        return np.where(predicted < classes, self._values[rows, np.minimum(predicted, classes - 1)], np.float32(np.nan))

    def _name(self, index: int) -> str:
        return self._classes.get(index, f"class {index}")

    def warnings(self, results: Sequence[VariantResult]) -> list[str]:
        """What makes the figures say less than they seem to. results: the reference's first."""
        said = []
        count, classes = self._values.shape
        index, times = Counter(self._predicted.tolist()).most_common(1)[0]
        if self._labels is None and count > 1 and times > ONE_CLASS * count:
            said.append(
                f"The reference predicts {self._name(index)} for {times / count:.0%} of the images, so that agreement"
                " with it says little. Use trained weights, or images of more classes."
            )
        top1 = results[0].top1
        if top1 is not None and top1.lo <= 1 / classes:
            said.append("The reference is no better than guessing: are its weights and the order of the classes right?")
        for result in results[1:]:
            if result.agreement is not None and result.agreement.not_finite:
                images = f"{result.agreement.not_finite} of {count} images"
                said.append(f"{result.variant}: infinite or undefined logits for {images}")
        return said


def ranks(values: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[Any]:
    """How many classes come before each image's own, shape (images,): by logit, among equals by index.

    All of them, where a logit is infinite or undefined.
    """
    own = np.take_along_axis(values, labels[:, None], axis=1)
    before = (values > own) | ((values == own) & (np.arange(values.shape[1]) < labels[:, None]))
    return np.asarray(np.where(np.isfinite(values).all(axis=1), before.sum(axis=1), values.shape[1]))


def gates(result: VariantResult, limits: Limits) -> list[GateResult]:
    """The limits that can be judged for a variant. Top-1 and agreement are lower limits, the drop is an upper one."""
    agreement, change = result.agreement, result.top1_change
    judged = [
        ("top-1 at least", limits.top1, result.top1.value if result.top1 is not None else None),
        ("agreement at least", limits.agreement, agreement.top1.value if agreement is not None else None),
        ("top-1 lost at most", limits.drop, -change.value if change is not None else None),
    ]
    return [
        GateResult(
            variant=result.variant,
            what=what,
            limit=limit,
            value=value,
            met=value <= limit if what.endswith("at most") else value >= limit,
        )
        for what, limit, value in judged
        if limit is not None and value is not None
    ]


def _effective(outputs: Outputs) -> dict[str, Effective]:
    return {stage: Effective.model_validate(found) for stage, found in outputs.effective.items()}


def _largest(values: NDArray[Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None
