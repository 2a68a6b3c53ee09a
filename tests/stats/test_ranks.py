"""Order statistics of values in blocks are those of all the values sorted, whatever they are and however they come."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats import quantiles, ranks
from harness.stats.ranks import OrderStatistics, over_again

WHOLE = st.one_of(
    st.integers(-3, 3),  # ties
    st.integers(0, 10**7),
    st.integers(10**12, 10**12 + 10**6),
    st.integers(2**53 - 3, 2**53 + 10**4),  # what a float64 no longer tells apart
    st.integers(-(2**63), 2**63 - 1),
)


def counted(values: np.ndarray, pieces: int) -> OrderStatistics:
    order = OrderStatistics()
    for piece in np.array_split(values, pieces):
        order.add(piece)
    return order


@settings(max_examples=60, deadline=None)
@given(st.lists(WHOLE, min_size=1, max_size=200), st.integers(1, 7), st.sampled_from([(0, 2), (0, 64), (1 << 17, 2)]))
def test_every_rank_is_that_of_the_sorted_values(values, pieces, limits):
    array = np.array(values, np.int64)
    with mock.patch.multiple(ranks, KEPT=limits[0], FEW=limits[1]):
        order = counted(array, pieces)
        found = order.find(range(1, len(array) + 1), lambda: np.array_split(array[::-1], pieces + 1))
    assert [found[k] for k in range(1, len(array) + 1)] == sorted(values)
    assert (order.total, order.least, order.largest) == (sum(values), min(values), max(values))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**11), max_size=300), st.integers(0, 30))
def test_the_summary_is_that_of_the_values_with_lost_ones_infinitely_late(values, lost):
    array = np.array(values, np.int64)
    with mock.patch.multiple(ranks, KEPT=10, FEW=4):
        order = counted(array, 3)
        order.find({k for k in quantiles.ranks(len(array) + lost) if k <= len(array)}, lambda: [array])
        found = quantiles.summary_of(order, lost)
    assert found == quantiles.summarise(np.append(array.astype(np.float64), [np.inf] * lost))


def test_many_equal_values_are_counted_and_not_kept():
    values = np.repeat(np.array([7, 10**9 + 1, 10**9 + 2], np.int64), 100_000)
    order = counted(values, 5)
    assert order.find([1, 100_000, 100_001, 200_001], lambda: np.array_split(values, 5)) == {
        1: 7,
        100_000: 7,
        100_001: 10**9 + 1,
        200_001: 10**9 + 2,
    }


def test_several_share_the_passes_that_they_need():
    narrow, wide = np.arange(200_000), np.arange(200_000) * 10**9
    both = [counted(narrow, 3), counted(wide, 3)]
    for order in both:
        order.seek([150_000])
    passes = 0
    while True:
        passes += 1
        for order, values in zip(both, (narrow, wide), strict=True):
            order.over(values)
        if not over_again(both):
            break
    assert [order.at(150_000) for order in both] == [149_999, 149_999 * 10**9]
    assert passes <= 2


def test_a_rank_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="between 1 and 3"):
        counted(np.arange(3), 1).seek([4])
