"""Where the time of some requests went: of the slowest, or of any band of latencies, against the median ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.records import Ints
from harness.stats.budget import Budget
from harness.stats.quantiles import quantile
from harness.units import parse_duration

MEDIAN = (0.4, 0.6)
"""Between these quantiles requests count as median ones."""
_QUANTILE = re.compile(r"p(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Edge:
    """An end of a band: a quantile (0.99), or a latency in ns. None for both: open."""

    level: float | None = None
    latency_ns: int | None = None

    def at_ns(self, split: Budget) -> float | None:
        """The latency that it means for these requests."""
        return quantile(split.e2e, self.level) if self.level is not None else self.latency_ns


OPEN = Edge()


@dataclass(frozen=True)
class Attribution:
    """The requests whose e2e latency lies in a band, both ends included, and where their time went.

    shares: component -> share of their total latency, with the residual; they add up to 1. mean_ms: component -> mean
    over these requests. median_shares: the same shares of the requests about the median. clusters: in how many these
    requests come, see `cluster_of`. share_ranges: component -> the smallest and the largest share that is left when
    any one cluster is left out (the estimates of the jackknife: Quenouille, Biometrika 43, 1956); None of one cluster.
    They say how much a share hangs on a single event. They are no confidence intervals.
    """

    low_ms: float
    high_ms: float
    count: int
    mean_ms: dict[str, float]
    shares: dict[str, float]
    median_shares: dict[str, float]
    clusters: int
    share_ranges: dict[str, tuple[float, float]] | None


def parse_band(text: str) -> tuple[Edge, Edge]:
    """`p90..p99`, `100ms..200ms`, `p99..` or `..10ms`, from text. Raises UsageError."""
    low, dots, high = text.partition("..")
    if not dots or not (low.strip() or high.strip()):
        raise _not_a_band(text)
    edges = _edge(low.strip(), text), _edge(high.strip(), text)
    for key in ("level", "latency_ns"):
        first, last = (getattr(edge, key) for edge in edges)
        if first is not None and last is not None and first > last:
            raise UsageError("the band ends before it begins", where=f"--band {text}")
    return edges


def _edge(text: str, whole: str) -> Edge:
    match = _QUANTILE.fullmatch(text)
    if not text:
        return Edge()
    if match is not None and float(match[1]) <= 100.0:
        return Edge(level=float(Decimal(match[1]) / 100))
    try:
        return Edge(latency_ns=parse_duration(text))
    except ValueError:
        raise _not_a_band(whole) from None


def _not_a_band(text: str) -> UsageError:
    return UsageError(
        "expected two quantiles or latencies with .. between them, of which one may be missing",
        where=f"--band {text}",
        hint="For example p90..p99, 100ms..200ms, or p99.. for the slowest 1 %.",
    )


def attribute(split: Budget, low: Edge = OPEN, high: Edge = OPEN) -> Attribution | None:
    """Of the requests between two edges; None where there are none."""
    if not len(split.e2e):
        return None
    first, last = low.at_ns(split), high.at_ns(split)
    inside = (split.e2e >= (first or 0)) & (split.e2e <= (split.e2e.max() if last is None else last))
    if not inside.any():
        return None
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(split.due[chosen], kind="stable")]
    clusters = cluster_of(split.due[chosen], split.due[chosen] + split.e2e[chosen])
    median = tuple(quantile(split.e2e, level) for level in MEDIAN)
    return Attribution(
        low_ms=float(split.e2e[inside].min()) / 1e6,
        high_ms=float(split.e2e[inside].max()) / 1e6,
        count=int(inside.sum()),
        mean_ms={name: float(part[inside].mean()) / 1e6 for name, part in split.components.items()},
        shares=split.shares(inside),
        median_shares=split.shares((split.e2e >= median[0]) & (split.e2e <= median[1])),
        clusters=int(clusters[-1]) + 1,
        share_ranges=_ranges(split, chosen, clusters) if clusters[-1] else None,
    )


def cluster_of(due: Ints, completed: Ints) -> Ints:
    """The cluster of each of some requests, counted from 0, shape (n,). due, completed: ns, ascending by due.

    One that becomes due while an earlier one of them, or of its cluster, is still in the pipeline belongs to the same
    cluster: what held up that one holds up this one too, so that they tell of one event and not of two. (The runs of
    Smith and Weissman, Journal of the Royal Statistical Society B 56, 1994, with the sojourn as the gap that ends one.)
    """
    left = np.maximum.accumulate(completed)
    begins = np.concatenate([[False], due[1:] >= left[:-1]])
    clusters: Ints = np.cumsum(begins)
    return clusters


def _ranges(split: Budget, chosen: NDArray[np.int64], clusters: Ints) -> dict[str, tuple[float, float]]:
    """chosen: indices of the requests of the band. clusters: of each of them; two at least."""
    whole = split.e2e[chosen].sum() - np.bincount(clusters, split.e2e[chosen])
    ranges = {}
    for name, part in split.components.items():
        rest = part[chosen].sum() - np.bincount(clusters, part[chosen])
        shares = np.divide(rest, whole, out=np.zeros(len(whole)), where=whole > 0)
        ranges[name] = float(shares.min()), float(shares.max())
    return ranges
