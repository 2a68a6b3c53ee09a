"""Shares of images, with intervals that also hold near 0 and 1 and for few images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Share:
    """count out of `of` images, as a share with its interval."""

    count: int
    of: int
    value: float
    lo: float
    hi: float


def share(count: int, of: int, confidence: float = 0.95) -> Share:
    """A share with Wilson's score interval (Wilson, JASA 22, 1927). `of` is at least 1."""
    p, z = count / of, NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return Share(
        count, of, p, max(middle - half, 0.0) if count else 0.0, min(middle + half, 1.0) if count < of else 1.0
    )


@dataclass(frozen=True)
class Difference:
    """A difference of two shares of the same images, with its interval."""

    value: float
    lo: float
    hi: float


def paired_difference(both: int, first: int, second: int, neither: int, confidence: float = 0.95) -> Difference:
    """Share of the first minus share of the second, of the same images: right in both, only in one, in neither.

    Newcombe's square-and-add interval with his continuity-corrected correlation (Statistics in Medicine 17, 1998,
    p. 2635, method 10). That the images are the same makes it narrower than that of two independent shares.
    """
    n = both + first + second + neither
    one, other = share(both + first, n, confidence), share(both + second, n, confidence)
    margins = math.prod((both + first, second + neither, both + second, first + neither))
    cross = float(both * neither - first * second)
    cross = max(cross - n / 2, 0.0) if cross > 0 else cross
    phi = cross / math.sqrt(margins) if margins else 0.0
    difference = one.value - other.value
    down = _added(one.value - one.lo, other.hi - other.value, phi)
    up = _added(one.hi - one.value, other.value - other.lo, phi)
    return Difference(difference, difference - down, difference + up)


def _added(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))
