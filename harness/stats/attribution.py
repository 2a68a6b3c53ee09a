"""Where the time of some requests went: of the slowest, or of any band of latencies, against the median ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.records import Ints
from harness.stats.budget import Budget
from harness.stats.quantiles import NS_PER_MS, rank
from harness.units import parse_duration

MEDIAN = (0.4, 0.6)
"""Between these quantiles requests count as median ones."""
MANY = 1 << 21
"""Up to so many requests of a band are kept until it is known what all of them add up to; more are gone over again."""
_QUANTILE = re.compile(r"p(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Edge:
    """An end of a band: a quantile (0.99), or a latency in ns. None for both: open."""

    level: float | None = None
    latency_ns: int | None = None


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

    def ranked(ranks: Collection[int]) -> dict[int, int]:
        ordered = np.partition(split.e2e, [k - 1 for k in ranks])
        return {k: int(ordered[k - 1]) for k in ranks}

    return attribute_blocks(lambda: [split], len(split.e2e), ranked, low, high)


def attribute_blocks(
    again: Callable[[], Iterable[Budget]],
    count: int,
    ranked: Callable[[Collection[int]], Mapping[int, int]],
    low: Edge = OPEN,
    high: Edge = OPEN,
) -> Attribution | None:
    """The same of `count` requests in blocks. again: goes over them, in the order in which they were due.

    ranked: order statistics of their e2e latencies, ns, by rank.
    """
    if not count:
        return None
    band = Band.of(count, ranked, low, high)
    for split in again():
        band.add(split)
    return band.attribution(again)


class Band:
    """What requests of a band of latencies have in common, added up block by block. Latencies in ns, ends included."""

    def __init__(self, low: float, high: float, median: tuple[float, float]) -> None:
        self._low, self._high, self._median = low, high, median
        self._inside, self._typical = _Sums(), _Sums()
        self._kept: list[Budget] = []

    @classmethod
    def of(
        cls, count: int, ranked: Callable[[Collection[int]], Mapping[int, int]], low: Edge = OPEN, high: Edge = OPEN
    ) -> Band:
        """Between two edges; see `attribute_blocks`."""
        levels = [*MEDIAN, *(edge.level for edge in (low, high) if edge.level is not None)]
        found = ranked({rank(count, level) for level in levels})
        first, last = (
            edge.latency_ns if edge.level is None else found[rank(count, edge.level)] for edge in (low, high)
        )
        least, most = (found[rank(count, level)] for level in MEDIAN)
        return cls(first or 0, np.inf if last is None else last, (least, most))

    def add(self, split: Budget) -> None:
        """The next requests."""
        inside, typical = self._chosen(split), split.between(*self._median)
        self._inside.add(inside)
        self._typical.add(typical)
        if self._inside.count <= MANY:
            self._kept.append(inside)
        else:
            self._kept.clear()

    def _chosen(self, split: Budget) -> Budget:
        return split.between(self._low, self._high)

    def attribution(self, again: Callable[[], Iterable[Budget]]) -> Attribution | None:
        """Of all that were added; None where none of them lies in the band."""
        whole = self._inside
        if not whole.count:
            return None
        clusters = _Clusters(whole)
        if self._kept:
            clusters.add(Budget.joined(self._kept))
        else:
            for split in again():
                clusters.add(self._chosen(split))
        return Attribution(
            low_ms=whole.least / NS_PER_MS,
            high_ms=whole.most / NS_PER_MS,
            count=whole.count,
            mean_ms={name: total / whole.count / NS_PER_MS for name, total in whole.components.items()},
            shares=whole.shares,
            median_shares=self._typical.shares,
            clusters=clusters.count,
            share_ranges=clusters.ranges() if clusters.count > 1 else None,
        )


class _Sums:
    """Of the latencies and of each component, ns; whole numbers, and so exact."""

    def __init__(self) -> None:
        self.count = self.e2e = self.least = self.most = 0
        self.components: dict[str, int] = {}

    def add(self, split: Budget) -> None:
        for name, part in split.components.items():
            self.components[name] = self.components.get(name, 0) + int(part.sum())
        if len(split.e2e):
            least, most = int(split.e2e.min()), int(split.e2e.max())
            self.least = min(self.least, least) if self.count else least
            self.most = max(self.most, most)
            self.e2e += int(split.e2e.sum())
            self.count += len(split.e2e)

    @property
    def shares(self) -> dict[str, float]:
        return {name: part / self.e2e if self.e2e else 0.0 for name, part in self.components.items()}


def cluster_of(due: Ints, completed: Ints, left: int | None = None) -> Ints:
    """The cluster of each of some requests, counted from 0, shape (n,). due, completed: ns, ascending by due.

    One that becomes due while an earlier one of them, or of its cluster, is still in the pipeline belongs to the same
    cluster: what held up that one holds up this one too, so that they tell of one event and not of two. (The runs of
    Smith and Weissman, Journal of the Royal Statistical Society B 56, 1994, with the sojourn as the gap that ends one.)
    left: when the last of the requests before them had completed; the first is then of cluster 1 where it came later.
    """
    ended = np.maximum.accumulate(completed)
    if left is not None:
        ended = np.maximum(ended, left)
    begins = np.concatenate([[left is not None and due[0] >= left], due[1:] >= ended[:-1]])
    clusters: Ints = np.cumsum(begins)
    return clusters


class _Clusters:
    """The clusters of some requests in the order of their due times, and the shares that are left without each one.

    whole: the sums over all of these requests.
    """

    def __init__(self, whole: _Sums) -> None:
        self._whole = whole
        self._left: int | None = None  # when the last of those so far had completed
        self._open = np.zeros(
            len(whole.components) + 1
        )  # sums of the cluster that may go on: of e2e, and each component
        self._ended = 0
        self._least = np.full(len(whole.components), np.inf)
        self._most = np.full(len(whole.components), -np.inf)

    @property
    def count(self) -> int:
        """Clusters so far."""
        return self._ended + (self._left is not None)

    def add(self, split: Budget) -> None:
        """The next requests; within a block their order does not matter."""
        if not len(split.e2e):
            return
        order = np.argsort(split.due, kind="stable")
        completed = (split.due + split.e2e)[order]
        of = np.empty(len(order), np.int64)
        of[order] = cluster_of(split.due[order], completed, self._left)
        columns = (split.e2e, *split.components.values())
        sums: NDArray[np.float64] = np.stack([np.bincount(of, values).astype(np.float64) for values in columns])
        sums[:, 0] += self._open
        self._end(sums[:, :-1])
        self._open = sums[:, -1]
        self._left = int(completed.max()) if self._left is None else max(self._left, int(completed.max()))

    def _end(self, sums: NDArray[np.float64]) -> None:
        self._ended += sums.shape[1]
        rest = self._whole.e2e - sums[0]
        for i, total in enumerate(self._whole.components.values()):
            shares = np.divide(total - sums[i + 1], rest, out=np.zeros(len(rest)), where=rest > 0)
            self._least[i] = min(self._least[i], shares.min(initial=np.inf))
            self._most[i] = max(self._most[i], shares.max(initial=-np.inf))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """The smallest and the largest share of each component that is left when any one cluster is left out."""
        self._end(self._open[:, None])
        names = self._whole.components
        return {k: (float(low), float(high)) for k, low, high in zip(names, self._least, self._most, strict=True)}
