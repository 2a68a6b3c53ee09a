"""A figure on two sides, from blocks: how far apart are they, judged by how much blocks differ among themselves?

Every figure here solves an equation over blocks i: a mean M solves sum(n_i (m_i - M)) = 0, with m_i the mean of
the block's n_i values, and a quantile u of level q solves sum(above_i(u) - (1 - q) n_i) = 0. So a hypothesis on
two sides (b is r times a; b is a plus d) is tested by moving b back (b / r, b - d), taking the figure of both sides
together, and asking whether the blocks of the one side lie further above it than those of the other: a t statistic
with one score a block. Requests that waited behind one another lie in one block, and a block is one observation:
nothing is assumed of what happens inside it. Where the sides of a pair of blocks are exchangeable, exchanging them
changes the sign of the pair's score and nothing else, which makes the test of no difference exact (Fisher 1935).
The interval is the set of hypotheses that are not rejected.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.stats.quantiles import rank

Floats = NDArray[np.float64]
Move = Callable[[Any], Any]
"""An increasing function of the values of side b: of an array, or of one value."""
Groups = tuple[Floats, ...]
"""Scores that may each have their sign changed. Pairs of blocks: one group; else one of each side's blocks."""

EVERY_SIGN = 12
"""Up to so many blocks every pattern of signs is tried."""
SIGNS = 4000
FIRST_STEP, DOUBLINGS, HALVINGS = 1e-3, 14, 12


class Contrast(Protocol):
    """A figure of side a and of side b."""

    @property
    def a(self) -> float:
        """The figure of all blocks of a."""

    @property
    def b(self) -> float:
        """The figure of all blocks of b."""

    def scores(self, move: Move) -> tuple[Floats, Floats]:
        """How far each block of a, and each of b once moved, lies above the figure of both sides; means are 0 if equal.

        Shapes (blocks of a,) and (blocks of b,).
        """


@dataclass(frozen=True)
class Mean:
    """A mean of all values, or a rate over all time, from the blocks' own. weights: how many values, or how long.

    Arrays of shape (blocks,).
    """

    of_a: Floats
    of_b: Floats
    a_weights: Floats
    b_weights: Floats

    @property
    def a(self) -> float:
        """Of a."""
        return float(self.of_a @ self.a_weights / self.a_weights.sum())

    @property
    def b(self) -> float:
        """Of b."""
        return float(self.of_b @ self.b_weights / self.b_weights.sum())

    def scores(self, move: Move) -> tuple[Floats, Floats]:
        """See `Contrast`."""
        moved = move(self.of_b)
        weight = self.a_weights.sum() + self.b_weights.sum()
        both = float((self.of_a @ self.a_weights + moved @ self.b_weights) / weight)
        one, other = (self.of_a - both) * self.a_weights, (moved - both) * self.b_weights
        return _relative(one, self.a_weights), _relative(other, self.b_weights)


@dataclass(frozen=True)
class Sorted:
    """The values of a side, sorted in each block, shape (n,)."""

    blocks: tuple[Floats, ...]

    @cached_property
    def every(self) -> Floats:
        """All of them, sorted."""
        return np.sort(np.concatenate(self.blocks), kind="stable")  # which merges what is sorted already


@dataclass(frozen=True)
class Quantile:
    """The quantile of a level."""

    of_a: Sorted
    of_b: Sorted
    level: float

    @property
    def a(self) -> float:
        """Of a."""
        return _quantile(self.of_a.every, self.level)

    @property
    def b(self) -> float:
        """Of b."""
        return _quantile(self.of_b.every, self.level)

    def scores(self, move: Move) -> tuple[Floats, Floats]:
        """See `Contrast`."""
        a, b = self.of_a.every, self.of_b.every
        both = _smallest(a, b, move, rank(len(a) + len(b), self.level))
        return self._above(self.of_a, both), self._above(self.of_b, both, move)

    def _above(self, side: Sorted, value: float, move: Move = lambda values: values) -> Floats:
        counts = np.array([len(block) for block in side.blocks], dtype=np.float64)
        below = [bisect_right(block, value, key=move) for block in side.blocks]
        return _relative(counts * self.level - np.array(below), counts)


def _relative(scores: Floats, weights: Floats) -> Floats:
    """Scores such that their mean is their sum over the sum of the weights."""
    scaled: Floats = scores * (len(weights) / weights.sum())
    return scaled


def _quantile(ordered: Floats, level: float) -> float:
    return float(ordered[rank(len(ordered), level) - 1])


def _smallest(a: Floats, b: Floats, move: Move, k: int) -> float:
    """The k-th smallest, from 1, of a and of b moved, both sorted."""
    low, high = max(0, k - len(b)), min(k, len(a))
    while low < high:  # how many of the k come from a
        middle = (low + high) // 2
        if a[middle] < move(b[k - middle - 1]):
            low = middle + 1
        else:
            high = middle
    last = [a[low - 1]] if low else []
    return float(max([*last, *([move(b[k - low - 1])] if k > low else [])]))


# ------------------------------------------------------------------ tests


def groups(scores: tuple[Floats, Floats], *, paired: bool) -> Groups:
    """Scores whose common mean is tested against 0: positive where b lies above a."""
    a, b = scores
    return (b - a,) if paired else (b, -a)


def statistic(scores: Groups) -> float:
    """The sum of the groups' means over its standard error: Student's t for one group, Welch's for two."""
    return float(_studentised([g.mean(keepdims=True) for g in scores], [float(g @ g) for g in scores], scores)[0])


def flipped(scores: Sequence[Groups]) -> Floats:
    """The largest |statistic| over several metrics for patterns of signs, shape (patterns,), the given one first.

    scores: of each metric. A pattern changes the signs of whole blocks, for all metrics at once, and so keeps what
    they have to do with one another (Westfall and Young, Resampling-Based Multiple Testing, 1993).
    """
    blocks = [len(group) for group in scores[0]]
    signs = _signs(sum(blocks))
    largest = np.zeros(len(signs))
    for metric in scores:
        means, squares, first = [], [], 0
        for group, count in zip(metric, blocks, strict=True):
            means.append(signs[:, first : first + count] @ group / count)
            squares.append(float(group @ group))
            first += count
        np.maximum(largest, np.abs(_studentised(means, squares, metric)), out=largest)
    return largest


def centred(scores: Groups) -> Groups:
    """Scores around their means."""
    return tuple(group - group.mean() for group in scores)


def critical(largest: Floats, confidence: float) -> float:
    """What a share of at most 1 - confidence of the patterns exceeds."""
    ordered = np.sort(largest)[::-1]
    return float(ordered[math.floor(round((1.0 - confidence) * len(ordered), 9))]) * (1.0 + 1e-9)


def fewest_blocks(confidence: float) -> int:
    """Blocks below which no pattern of signs is rare enough to reject anything."""
    return math.ceil(math.log2(2.0 / (1.0 - confidence)))


def _studentised(means: Sequence[Floats], squares: Sequence[float], scores: Groups) -> Floats:
    total, variance = np.zeros_like(means[0]), np.zeros_like(means[0])
    for mean, square, group in zip(means, squares, scores, strict=True):
        total += mean
        variance += np.maximum(square - len(group) * mean**2, 0.0) / (len(group) - 1) / len(group)
    scale = sum(squares) or 1.0
    total[np.abs(total) < 1e-12 * math.sqrt(scale)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = total / np.sqrt(variance)
    t[total == 0.0] = 0.0
    return t


def _signs(blocks: int) -> Floats:
    """Patterns of signs, shape (patterns, blocks), all of them or seeded ones; the first changes nothing."""
    if blocks <= EVERY_SIGN:
        patterns = (np.arange(2**blocks)[:, None] >> np.arange(blocks)) & 1
    else:
        patterns = np.random.default_rng(blocks).integers(0, 2, (SIGNS, blocks))
        patterns[0] = 0
    return np.asarray(1.0 - 2.0 * patterns)


def ends(t: Callable[[float], float], estimate: float, step: float, limit: float) -> tuple[float, float]:
    """The hypotheses about the estimate at which a decreasing statistic lies within +-limit; infinite if unbounded.

    step: how far to look first. An end is exact to 1 / 4000 of its distance from the estimate.
    """
    return _end(t, estimate, -step, limit), _end(t, estimate, step, limit)


def _end(t: Callable[[float], float], estimate: float, step: float, limit: float) -> float:
    direction = math.copysign(1.0, step)
    inside, outside = 0.0, step
    for _ in range(DOUBLINGS):
        if -direction * t(estimate + outside) > limit:
            break
        inside, outside = outside, 2.0 * outside
    else:
        return direction * math.inf
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2.0
        if -direction * t(estimate + middle) > limit:
            outside = middle
        else:
            inside = middle
    return estimate + outside
