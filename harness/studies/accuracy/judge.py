"""Outputs against labels, and against those of the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.outputs.serve import Outputs
from harness.stats.proportions import paired_difference, share
from harness.studies.accuracy.dataset import Dataset
from harness.studies.accuracy.results import Agreement, Gate, Limits, Pair, Result

TOP = 5
PAIRS = 5
ONE_CLASS = 0.5
"""A share of the answers from which on one class makes up so much of them that agreement says little."""


class Judge:
    """Holds the outputs of variants against what is expected, over the images that the reference served."""

    def __init__(self, dataset: Dataset, expected: Outputs) -> None:
        self._rows = np.flatnonzero(expected.served)
        self._names = dataset.names
        self._classes = dataset.classes
        self._labels = None if dataset.labels is None else dataset.labels[self._rows]
        self._values, self._answers = expected.values[self._rows], expected.answers[self._rows]
        self._right = None if self._labels is None else self._answers == self._labels

    @property
    def lead_p50(self) -> float:
        """The median lead of the reference's answer over its second, in logits; 0 with one class only."""
        if self._values.shape[1] < 2:
            return 0.0
        second, first = np.partition(self._values, -2, axis=1)[:, -2:].T
        return float(np.median(first - second))

    def expected(self, outputs: Outputs, name: str) -> Result:
        """The reference's own figures."""
        return self._labelled(Result(name, effective=outputs.effective, seconds=outputs.seconds), outputs)

    def result(self, outputs: Outputs, name: str, changes: tuple[str, ...]) -> Result:
        """Another one's figures."""
        failures = {self._names[i]: outputs.failures[i] for i in self._rows.tolist() if i in outputs.failures}
        found = Result(name, changes, failures=failures, effective=outputs.effective, seconds=outputs.seconds)
        found = self._labelled(replace(found, agreement=self._agreement(outputs)), outputs)
        if self._right is None:
            return found
        right = self._is_right(outputs)
        table = [int((right == here)[self._right == there].sum()) for here in (True, False) for there in (True, False)]
        both, here_only, there_only, neither = table
        return replace(found, top1_change=paired_difference(both, here_only, there_only, neither))

    def _is_right(self, outputs: Outputs) -> NDArray[np.bool_]:
        return np.asarray(outputs.served[self._rows] & (outputs.answers[self._rows] == self._labels))

    def _labelled(self, found: Result, outputs: Outputs) -> Result:
        if self._labels is None:
            return found
        count, values = len(self._rows), outputs.values[self._rows]
        found = replace(found, top1=share(int(self._is_right(outputs).sum()), count))
        if values.shape[1] <= TOP:
            return found
        among = outputs.served[self._rows] & (ranks(values, self._labels) < TOP)
        return replace(found, top5=share(int(among.sum()), count))

    def _agreement(self, outputs: Outputs) -> Agreement:
        rows = self._rows
        served, values, answers = outputs.served[rows], outputs.values[rows], outputs.answers[rows]
        usable = served & np.isfinite(values).all(axis=1) & np.isfinite(self._values).all(axis=1)
        largest = np.abs(values[usable] - self._values[usable]).max(axis=1)
        differ = np.flatnonzero(served & (answers != self._answers))
        theirs, ours = self._answers[differ], answers[differ]
        leads = self._logit(differ, theirs) - self._logit(differ, ours)
        counted = Counter(zip(theirs.tolist(), ours.tolist(), strict=True))
        pairs = tuple(
            Pair(self._name(a), self._name(b), count, _largest(leads[(theirs == a) & (ours == b)]))
            for (a, b), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
        )
        return Agreement(
            top1=share(int((served & (answers == self._answers)).sum()), len(self._rows)),
            difference_max=_largest(largest),
            difference_p50=float(np.median(largest)) if len(largest) else None,
            lead_max=_largest(leads),
            pairs=pairs,
            not_finite=int((served & ~usable).sum()),
        )

    def _logit(self, rows: NDArray[Any], answers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The reference's logits of these answers; NaN where that is no class: one's own postprocess may give any."""
        classes = self._values.shape[1]
        return np.where(answers < classes, self._values[rows, np.minimum(answers, classes - 1)], np.float32(np.nan))

    def _name(self, index: int) -> str:
        return self._classes.get(index, f"class {index}")

    def warnings(self, results: Sequence[Result]) -> list[str]:
        """What makes the figures say less than they seem to. results: the reference's first."""
        said = []
        count, classes = self._values.shape
        answer, times = Counter(self._answers.tolist()).most_common(1)[0]
        if self._labels is None and count > 1 and times > ONE_CLASS * count:
            said.append(
                f"The reference answers {self._name(answer)} for {times / count:.0%} of the images: that others agree"
                " says little. Use trained weights, or images of more classes."
            )
        top1 = results[0].top1
        if top1 is not None and top1.lo <= 1 / classes:
            said.append("The reference is no better than guessing: are its weights and the order of the classes right?")
        for result in results[1:]:
            if result.agreement is not None and result.agreement.not_finite:
                said.append(
                    f"{result.variant}: logits that are no numbers, for {result.agreement.not_finite} of {count} images"
                )
        return said


def ranks(values: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[Any]:
    """How many classes come before each image's own, shape (images,): by logit, among equals by index.

    All of them, where a logit is no number.
    """
    own = np.take_along_axis(values, labels[:, None], axis=1)
    before = (values > own) | ((values == own) & (np.arange(values.shape[1]) < labels[:, None]))
    return np.asarray(np.where(np.isfinite(values).all(axis=1), before.sum(axis=1), values.shape[1]))


def gates(result: Result, limits: Limits) -> list[Gate]:
    """The limits that can be held against a result."""
    found = []
    if limits.top1 is not None and result.top1 is not None:
        value = result.top1.value
        found.append(Gate(result.variant, "top-1 at least", limits.top1, value, value >= limits.top1))
    if limits.agreement is not None and result.agreement is not None:
        value = result.agreement.top1.value
        found.append(Gate(result.variant, "agreement at least", limits.agreement, value, value >= limits.agreement))
    if limits.drop is not None and result.top1_change is not None:
        value = -result.top1_change.value
        found.append(Gate(result.variant, "top-1 lost at most", limits.drop, value, value <= limits.drop))
    return found


def _largest(values: NDArray[Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else None
