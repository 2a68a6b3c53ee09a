"""Which cells no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the points (gain, cost) that are on the Pareto front, in ascending order.

    A point is beaten by one with at least its gain at no more than its cost, and better in one of the two. Equal
    points do not beat each other.
    """
    front: list[int] = []
    least = float("inf")  # the lowest cost of those with more gain
    by_gain = sorted(range(len(points)), key=lambda i: (-points[i][0], points[i][1]))
    for _, level in groupby(by_gain, key=lambda i: points[i][0]):
        alike = list(level)
        cost = points[alike[0]][1]
        if cost < least:
            front += [i for i in alike if points[i][1] == cost]
            least = cost
    return sorted(front)
