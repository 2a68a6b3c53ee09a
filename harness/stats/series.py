"""What pictures of a run are drawn from: over time, over the distribution, and of the slowest requests.

A run of a million requests has more points than a picture can show. Thinning keeps what a reader looks for, the
extremes: the smallest and the largest value of every short span, and every one of the slowest requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, Outcome, Phase, RunRecords, ready
from harness.stats import timeline
from harness.stats.budget import Budget, budget
from harness.stats.quantiles import NS_PER_MS, quantile, rank

NS_PER_S = 1e9
TAIL = 0.99
SPANS = 100_000
"""Spans of the latencies over time; queues and lateness, which nobody reads to the request, have a fifth of it."""
MEAN_SPANS = 150
FEWEST_PER_SPAN = 20
"""Completions of a span of the throughput and of the mean queue, on average: fewer would show the noise of counting."""
RANKS, LAST_RANKS = 400, 200
BINS_PER_DECADE = 16
CURVE_LEVELS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999, 0.999999)
LEAST_MS = 1e-3
"""Where the histograms begin; what is shorter is counted as nothing."""
SLOWEST = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """A course over time. x: seconds since the first measured request was due, ascending; y; each of shape (n,)."""

    x: Floats
    y: Floats

    def highest(self, spans: int, end_s: float) -> Floats:
        """The highest y in each of equal spans from 0 to end_s, shape (spans,); 0 where nothing lies in one."""
        inside = (self.x >= 0) & (self.x <= end_s)
        of = np.minimum((self.x[inside] * (spans / end_s)).astype(np.int64), spans - 1) if end_s else 0
        found = np.zeros(spans)
        np.maximum.at(found, of, self.y[inside])
        return found


@dataclass(frozen=True)
class Depth:
    """A number of requests over time, as steps that hold from their x on; and its time average in equal spans."""

    steps: Series
    mean: Series


@dataclass(frozen=True)
class Distribution:
    """Order statistics of `count` latencies: ms[i] is the one of rank ranks[i]; every one of the largest is there."""

    count: int
    ranks: Ints
    ms: Floats

    @property
    def nines(self) -> Floats:
        """-log10(1 - p) of the levels p above which each one is the quantile: 1 is 90 %, 2 is 99 %."""
        return -np.log10(1.0 - (self.ranks - 1) / self.count)

    @property
    def shares(self) -> Floats:
        """The share of the requests that took no longer than each."""
        return self.ranks / self.count

    def quantile(self, q: float) -> float:
        """The quantile q in ms; exact for the CURVE_LEVELS, and for the others the nearest one below that is here."""
        return float(self.ms[np.searchsorted(self.ranks, rank(self.count, q), side="right") - 1])


@dataclass(frozen=True)
class Histograms:
    """Counts of each component in common logarithmic bins. edges_ms: shape (bins + 1,); counts: shape (bins,)."""

    edges_ms: Floats
    counts: Mapping[str, Ints]


@dataclass(frozen=True)
class SlowRequest:
    """One of the slowest: its number among the measured requests, when it was due, and where its time went."""

    request: int
    due_s: float
    e2e_ms: float
    components_ms: Mapping[str, float]


@dataclass(frozen=True)
class RunSeries:
    """All of it, of one run. `requests`: the number of the request of each point of `latency`.

    typical_ms, slowest_ms: the mean of each component over the requests about the median and over the slowest 1 %;
    they add up to these requests' mean latency, and their shares are the summary's.
    """

    start_ns: int
    latency: Series
    requests: Ints
    lateness: Series
    waiting: Mapping[str, Depth]
    in_system: Depth
    rates: Mapping[str, Series]
    e2e: Distribution
    response: Distribution
    components: Mapping[str, Distribution]
    histograms: Histograms
    typical_ms: Mapping[str, float]
    slowest_ms: Mapping[str, float]
    slowest: tuple[SlowRequest, ...]


def of_run(records: RunRecords, *, spans: int = SPANS) -> RunSeries | None:
    """The series of a run's measured requests; None where none completed.

    Queues and the number in the system count every request that ran under the load, warm-up and failed ones too.
    """
    measured = records.of_phase(Phase.MEASURED)
    completed = measured.outcome == Outcome.COMPLETED
    if not completed.any():
        return None
    done = measured.select(completed)
    split = budget(records)
    start = int(measured.due.min())
    number = np.flatnonzero(completed)
    slow = np.zeros(len(done), bool)
    slow[np.argsort(split.e2e, kind="stable")[rank(len(done), TAIL) - 1 :]] = True  # by rank: many may be equal
    order = np.argsort(done.due, kind="stable")
    due_s, e2e_ms = _since(start, done.due[order]), split.e2e[order] / NS_PER_MS
    shown = thinned(due_s, e2e_ms, spans, keep=slow[order])
    loaded = records.select(records.column("phase") != Phase.SATURATION)
    lateness_ms = (done.issued - done.due)[order] / NS_PER_MS
    late = thinned(due_s, lateness_ms, spans // 5)
    edges = _edges(measured, done, start)
    typical, slowest = compositions(split)
    return RunSeries(
        start_ns=start,
        latency=Series(due_s[shown], e2e_ms[shown]),
        requests=number[order][shown],
        lateness=Series(due_s[late], lateness_ms[late]),
        waiting={
            stage.name: depth(ready(loaded, i), stage.taken, edges, spans // 5) for i, stage in enumerate(loaded.stages)
        },
        in_system=depth(loaded.due, timeline.ended(loaded), edges, spans // 5),
        rates=_rates(measured, done, edges),
        e2e=distribution(split.e2e),
        response=distribution(done.completed - done.issued),
        components={name: distribution(values) for name, values in split.components.items()},
        histograms=histograms(split.components),
        typical_ms=typical,
        slowest_ms=slowest,
        slowest=slowest_requests(split, number, done.due - start),
    )


def thinned(x: Floats, y: Floats, spans: int, keep: NDArray[np.bool_] | None = None) -> Ints:
    """Indices, ascending, of the points that a picture needs. x: ascending, shape (n,).

    The range of x is cut into equal spans; of each, the points with the smallest and the largest y stay, and so do
    the first and the last point of all and those that `keep` marks.
    """
    if len(x) <= 2 * spans or x[-1] == x[0]:
        return np.arange(len(x))
    of = np.minimum(((x - x[0]) * (spans / (x[-1] - x[0]))).astype(np.int64), spans - 1)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    span = np.cumsum(np.diff(of, prepend=-1) > 0) - 1  # spans without points are left out
    needed = np.zeros(len(x), bool) if keep is None else keep.copy()
    needed[[0, -1]] = True
    for extreme in (np.minimum, np.maximum):
        at = np.flatnonzero(y == extreme.reduceat(y, first)[span])
        needed[at[np.unique(span[at], return_index=True)[1]]] = True
    return np.flatnonzero(needed)


def depth(begin_ns: Ints, end_ns: Ints, edges_ns: Floats, spans: int) -> Depth:
    """How many intervals there are over time, and their mean between each two edges; x counts from the first edge.

    See `timeline.depth`. The steps are thinned, the means are exact.
    """
    times, number = timeline.depth(begin_ns, end_ns)
    x, y = _since(edges_ns[0], times), number.astype(np.float64)
    shown = thinned(x, y, spans)
    edges_s = _since(edges_ns[0], edges_ns)
    area = np.concatenate([[0.0], np.cumsum(y[:-1] * np.diff(x))])
    means = np.diff(np.interp(edges_s, x, area)) / np.diff(edges_s) if len(x) else np.zeros(len(edges_s) - 1)
    return Depth(Series(x[shown], y[shown]), Series(edges_s, np.append(means, means[-1])))


def rate(times_ns: Ints, edges_ns: Floats) -> Series:
    """Events per second between each two edges, as steps: y holds from its x on. x counts from the first edge."""
    edges_s = _since(edges_ns[0], edges_ns)
    per_second = np.histogram(times_ns, edges_ns)[0] / np.diff(edges_s)
    return Series(edges_s, np.append(per_second, per_second[-1]))


def cpu(shares: Mapping[str, Sequence[float]], start_ns: int) -> dict[str, Series]:
    """Shares of CPU time, as `host.Timeline` has them, in percent over the time at which each was read."""
    x = (np.asarray(shares["at_ns"], np.float64) - start_ns) / NS_PER_S
    return {name: Series(x, 100 * np.asarray(y)) for name, y in shares.items() if name != "at_ns" and len(x)}


def distribution(values_ns: Ints) -> Distribution:
    """Order statistics that a percentile curve and an ECDF can be drawn from; values: shape (n,), n >= 1."""
    ordered = np.sort(values_ns)
    n = len(ordered)
    even = np.linspace(1, n, RANKS)
    towards_the_tail = n + 1 - np.geomspace(n, 1, RANKS)
    last = np.arange(max(n - LAST_RANKS, 0), n) + 1.0
    named = np.array([rank(n, q) for q in CURVE_LEVELS])
    ranks = np.unique(np.rint(np.concatenate([even, towards_the_tail, last, named])).astype(np.int64))
    return Distribution(n, ranks, ordered[ranks - 1] / NS_PER_MS)


def histograms(components_ns: Mapping[str, Ints]) -> Histograms:
    """Count each component's values, shape (n,), in bins of equal width on a logarithmic scale."""
    most_ms = max(float(values.max()) for values in components_ns.values()) / NS_PER_MS
    decades = max(np.log10(max(most_ms, LEAST_MS) / LEAST_MS), 1.0)
    bins = int(np.ceil(decades * BINS_PER_DECADE)) + 1
    edges = LEAST_MS * 10 ** (np.arange(bins + 1) / BINS_PER_DECADE)
    return Histograms(edges, {k: np.histogram(v / NS_PER_MS, edges)[0] for k, v in components_ns.items()})


def compositions(split: Budget) -> tuple[dict[str, float], dict[str, float]]:
    """The mean of each component in ms, of typical requests (p40 to p60) and of the slowest 1 %."""
    low, high, tail = (quantile(split.e2e, q) for q in (0.4, 0.6, TAIL))
    masks = (split.e2e >= low) & (split.e2e <= high), split.e2e >= tail
    typical, slow = ({k: float(v[m].mean()) / NS_PER_MS for k, v in split.components.items()} for m in masks)
    return typical, slow


def by_kind(components_ms: Mapping[str, float]) -> dict[str, float]:
    """Components of all stages added up by what they are: service, queue_wait, ...; a composition's own order."""
    sums: dict[str, float] = {}
    for name, value in components_ms.items():
        kind = name.rpartition(".")[2]
        sums[kind] = sums.get(kind, 0.0) + value
    return sums


def slowest_requests(split: Budget, number: Ints, due_ns: Ints, count: int = SLOWEST) -> tuple[SlowRequest, ...]:
    """The slowest, the slowest first. number, due_ns: of each request, shape (n,)."""
    worst = np.argsort(-split.e2e, kind="stable")[:count]
    return tuple(
        SlowRequest(
            request=int(number[i]),
            due_s=float(due_ns[i]) / NS_PER_S,
            e2e_ms=float(split.e2e[i]) / NS_PER_MS,
            components_ms={name: float(values[i]) / NS_PER_MS for name, values in split.components.items()},
        )
        for i in worst
    )


def _since(start_ns: float, times_ns: Ints | Floats) -> Floats:
    return (np.asarray(times_ns, np.float64) - start_ns) / NS_PER_S


def _edges(measured: RunRecords, done: RunRecords, start_ns: int) -> Floats:
    """The ends of the equal spans over which rates and means are taken, ns; shape (spans + 1,)."""
    end = max(int(done.completed.max()), int(measured.due.max()), start_ns + 1)
    spans = min(max(len(done) // FEWEST_PER_SPAN, 4), MEAN_SPANS)
    return np.linspace(start_ns, end, spans + 1)


def _rates(measured: RunRecords, done: RunRecords, edges_ns: Floats) -> dict[str, Series]:
    times = {"offered": measured.due} if measured.layout.load == "open" else {}
    times |= {"completed": done.completed}
    for name, outcome in (("dropped", Outcome.DROPPED), ("failed", Outcome.FAILED)):
        lost = measured.due[measured.outcome == outcome]
        times |= {name: lost} if len(lost) else {}
    return {name: rate(when, edges_ns) for name, when in times.items()}
