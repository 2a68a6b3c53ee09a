"""Figures of a variant: right answers, agreement and differences, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.studies.accuracy.judge import ranks
from tests.studies.accuracy.judging import judged, outputs


def test_figures_of_a_variant_by_hand() -> None:
    """Four images, of which the reference cannot serve the last, the variant not the third, and they differ on one."""
    expected = outputs([[3, 1, 0], [0, 2, 1], [0, 0, 5], [9, 0, 0]], [True, True, True, False])
    other = outputs([[2, 3.5, 0], [0, 2.25, 1], [7, 7, 7], [0, 9, 0]], [True, True, False, True])
    judge = judged(expected, [0, 1, 2, 0])
    assert judge.expected(expected, "reference").top1.value == 1  # type: ignore[union-attr]
    found = judge.result(other, "other", ())
    assert found.top1 is not None and found.agreement is not None and found.top1_change is not None
    assert (found.top1.count, found.top1.of) == (1, 3)
    assert found.top1_change.value == pytest.approx(-2 / 3)
    assert (found.agreement.top1.count, found.agreement.top1.of) == (1, 3)
    assert found.agreement.difference_max == 2.5
    assert found.agreement.lead_max == 2.0  # 3 - 1, where the variant answers class 1
    assert [(p.reference, p.variant, p.count) for p in found.agreement.pairs] == [("ant", "class 1", 1)]
    assert found.failures == {"2.png": "broken"}


def test_logits_that_are_no_numbers_are_counted_and_never_right_among_five() -> None:
    values = np.zeros((2, 7), np.float32)
    values[1] = np.nan
    other = outputs(values)
    judge = judged(outputs(np.eye(7)[:2]), [0, 1])
    found = judge.result(other, "other", ())
    assert found.top5 is not None and found.agreement is not None
    assert found.top5.count == 1
    assert found.agreement.not_finite == 1
    assert any("undefined logits for 1 of 2 images" in text for text in judge.warnings([found, found]))


def test_a_reference_that_always_answers_the_same_is_said_to_say_little() -> None:
    expected = outputs(np.tile([5, 1, 0], (10, 1)))
    unlabelled = judged(expected, None)
    assert "predicts ant for 100% of the images" in unlabelled.warnings([unlabelled.expected(expected, "")])[0]
    guessing = judged(expected, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    assert "no better than guessing" in guessing.warnings([guessing.expected(expected, "")])[0]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(2, 12))
def test_ranks_are_places_in_a_stable_sort(seed: int, count: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (count, classes)).astype(np.float32)
    labels = rng.integers(0, classes, count)
    order = np.argsort(-values, axis=1, kind="stable")
    np.testing.assert_array_equal(ranks(values, labels), [list(o).index(k) for o, k in zip(order, labels, strict=True)])
