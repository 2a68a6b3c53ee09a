"""Scores of blocks, sign flips and intervals against what they are by definition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats import blocks
from harness.stats.blocks import Mean, Quantile, Sorted
from harness.stats.quantiles import quantile

values = st.lists(st.integers(0, 20), min_size=1, max_size=12)


def scale(ratio):
    return lambda v: v / ratio


@given(st.lists(values, min_size=1, max_size=4), st.lists(values, min_size=1, max_size=4), st.sampled_from([0.5, 0.9]))
def test_the_figure_of_both_sides_is_the_quantile_of_all_values(a, b, level):
    a, b = ([np.sort(np.array(block, float)) for block in side] for side in (a, b))
    moved = [block / 2.0 for block in b]
    both = quantile(np.concatenate([*a, *moved]), level)
    naive = [
        np.array([level * len(v) - np.count_nonzero(v <= both) for v in side]) * len(side) / sum(map(len, side))
        for side in (a, moved)
    ]
    one, other = Quantile(Sorted(tuple(a)), Sorted(tuple(b)), level).scores(scale(2.0))
    assert one == pytest.approx(naive[0])
    assert other == pytest.approx(naive[1])


def test_scores_of_equal_figures_have_equal_means():
    rng = np.random.default_rng(1)
    a = tuple(np.sort(rng.random(n)) for n in (50, 70, 60))
    found = Quantile(Sorted(a), Sorted(tuple(block * 3.0 for block in a)), 0.9)
    one, other = found.scores(scale(found.b / found.a))
    assert one == pytest.approx(other)
    figures, weights = np.array([0.5, 0.7, 1.5]), np.array([2.0, 3.0, 4.0])
    mean = Mean(figures, 5 * figures, weights, weights)
    assert (mean.a, mean.b) == (pytest.approx(9.1 / 9), pytest.approx(5 * 9.1 / 9))
    one, other = mean.scores(scale(5.0))
    assert one == pytest.approx(other)
    assert one.sum() == pytest.approx(0)


def test_one_group_has_the_statistic_of_student_and_two_that_of_welch():
    from scipy.stats import ttest_1samp, ttest_ind

    rng = np.random.default_rng(2)
    x, y = rng.normal(1.0, 2.0, 9), rng.normal(0.0, 1.0, 14)
    assert blocks.statistic((x,)) == pytest.approx(ttest_1samp(x, 0.0).statistic)
    assert blocks.statistic((x, -y)) == pytest.approx(ttest_ind(x, y, equal_var=False).statistic)


def test_every_pattern_of_signs_is_tried():
    rng = np.random.default_rng(3)
    scores = [(rng.normal(size=5),) for _ in range(3)]
    by_hand = [
        max(abs(blocks.statistic((np.array(signs) * group,))) for (group,) in scores)
        for signs in itertools.product((1, -1), repeat=5)
    ]
    assert sorted(blocks.flipped(scores)) == pytest.approx(sorted(by_hand))
    assert blocks.flipped(scores)[0] == pytest.approx(max(abs(blocks.statistic(s)) for s in scores))


@given(st.integers(0, 2**32 - 1), st.integers(6, 9))
@settings(max_examples=30, deadline=None)
def test_at_most_a_share_of_the_patterns_lies_beyond_the_limit(seed, n):
    scores = [(np.random.default_rng(seed).normal(size=n),)]
    largest = blocks.flipped(scores)
    beyond = np.count_nonzero(largest > blocks.critical(largest, 0.95))
    assert beyond <= 0.05 * 2**n
    assert beyond + 2 > 0.05 * 2**n - 2  # patterns come in pairs of equal size


def test_with_five_blocks_nothing_can_be_rejected_and_with_six_it_can():
    assert blocks.fewest_blocks(0.95) == 6
    for n, rejected in ((5, False), (6, True)):
        scores = [(1.0 + 0.01 * np.arange(n),)]
        largest = blocks.flipped(scores)
        assert (abs(blocks.statistic(scores[0])) > blocks.critical(largest, 0.95)) is rejected


def test_no_scores_at_all_are_no_difference():
    nothing = (np.zeros(8),)
    assert blocks.statistic(nothing) == 0.0
    assert blocks.critical(blocks.flipped([nothing]), 0.95) == 0.0
    assert blocks.statistic((np.ones(8),)) == math.inf


def test_ends_are_where_the_statistic_crosses_the_limit():
    low, high = blocks.ends(lambda x: 10.0 * (0.5 - x), 0.5, 1e-3, 2.0)
    assert (low, high) == (pytest.approx(0.3, abs=1e-3), pytest.approx(0.7, abs=1e-3))
    assert blocks.ends(lambda x: -1.0 if x > 0 else 1.0, 0.0, 1e-3, 2.0) == (-math.inf, math.inf)
