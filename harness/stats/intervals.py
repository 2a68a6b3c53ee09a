"""Confidence intervals for a quantile: of independent requests, and of requests that waited behind one another.

Latencies of one run are correlated: whoever arrives in a busy period waits with everyone else in it. In an M/M/1
queue at utilisation 0.8 some seventy requests in a row say as much about the p99 as one independent request, and an
interval that ignores it is eight times too narrow. `dependent` is the interval for one run's latencies in the order
of arrival; `independent` is the textbook one, for comparison and for samples that are independent by construction.
`benchmarks/interval_coverage.py` measures how often each holds the true value.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.stats import autocorrelation
from harness.stats.quantiles import rank, requests_needed

INDEPENDENT = "independent order statistics"
DEPENDENT = "effective sample size"

SURPLUS = 24.0
"""What the estimated number of effective requests has too many of, at q = 1 and for strong correlation: a short run
that met no long busy period looks less correlated than it is (docs/intervals.md, "What a short run does not know")."""

LAG_WEIGHT, CLUSTER_WEIGHT, SCARCITY, SKEW = 16.0, 0.6, 10.0, 1.8
"""How much the ends allow for the inflation being an estimate (`dependent`, step 3): luck's square for each unit of
lag / n and of 1 / clusters, its growth in a run that is only just answered, and the same for the lower end. Fitted to
simulated queues at 95 % (docs/intervals.md); the normal quantile carries luck to other confidences."""

MIN_EFFECTIVE = 3
"""Effective requests beyond the quantile below which there are not enough clusters to judge their sizes by."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval for a quantile, in the unit of the values; lo and hi are None when it declines to answer.

    n_effective: how many independent values say as much about this quantile as the values given.
    needed: how many values such an interval needs; an estimate where the values are dependent.
    """

    lo: float | None
    hi: float | None
    method: str
    confidence: float
    n_effective: float
    needed: int

    @property
    def answered(self) -> bool:
        """Whether there is an interval."""
        return self.lo is not None and self.hi is not None


class Values(Protocol):
    """Values in the order of arrival that are gone over in blocks, because there may be too many to hold."""

    def __len__(self) -> int: ...

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All of them in order."""

    def ranked(self, ranks: Collection[int]) -> Mapping[int, float]:
        """The order statistics of some ranks, from 1 to n."""


def independent(values: NDArray[Any], q: float, confidence: float = 0.95) -> Interval:
    """Return the interval between two order statistics for the quantile q of independent values, shape (n,).

    The number of values at or below the true quantile is binomial(n, q); the ranks are the innermost ones that leave
    at most half of the error on either side (David and Nagaraja, Order Statistics, 2003, section 7.1). It declines
    when even the smallest or the largest value is not far enough out.
    """
    from scipy.special import bdtr

    _check(q, confidence)
    n, half = len(values), (1.0 - confidence) / 2.0
    needed = math.ceil(math.log(half) / math.log(max(q, 1.0 - q)))
    if n < needed:
        return Interval(None, None, INDEPENDENT, confidence, n, needed)
    counts = np.arange(n + 1)
    below = bdtr(counts, n, q)  # P(count <= k)
    low = int(np.searchsorted(below, half, side="right"))  # ranks from 1: P(count < low) <= half
    high = int(np.searchsorted(below, 1.0 - half)) + 1  # P(count >= high) <= half
    ordered = np.sort(values)
    if low < 1 or high > n:
        return Interval(None, None, INDEPENDENT, confidence, n, needed)
    return Interval(float(ordered[low - 1]), float(ordered[high - 1]), INDEPENDENT, confidence, n, needed)


def dependent(values: NDArray[Any] | Values, q: float, confidence: float = 0.95) -> Interval:
    """Return the interval for the quantile q of one run's values, shape (n,), in the order of arrival.

    1. Inflation: how many requests in a row count as one, from the autocorrelation of "lies beyond the quantile".
       At a far quantile that estimate rests on a handful of busy periods, so it is also made at five and ten times
       the tail probability, and the largest of the three counts: correlation falls or stays level towards the tail
       of a queue, while a cause that makes only the slowest requests cluster, such as a stall, shows at q itself.
    2. The number of requests beyond the quantile is as uncertain as a binomial one among n / inflation requests, and
       a Clopper-Pearson interval with that many gives the probabilities at which order statistics are the ends (Korn
       and Graubard, Survey Methodology 24, 1998, who do it for clustered samples).
    3. The inflation is itself an estimate, and it errs together with the quantile: a run that met few long busy
       periods has a low quantile and a low inflation, one that met many has both high. So the misses of step 2 alone
       lie on one side. The upper end is therefore that of fewer effective requests, exp(-luck) as many, and the lower
       end that of more; `_upper` has the formulas. Luck is larger the fewer independent requests lie beyond the
       quantile, the longer the correlation lasts against the run (the relative variance of a sum of autocorrelations
       up to lag L is 4 L / n: Madras and Sokal, Journal of Statistical Physics 50, 1988, appendix C), and where the
       run is only just long enough to be answered, because among such runs those that met few long busy periods are
       answered first. Johnson's t for skewed populations moves both ends likewise (JASA 73, 1978).

    It declines on two criteria: fewer than MIN_TAIL independent requests beyond the quantile, judged by the
    correlation about the median, or fewer than MIN_EFFECTIVE, judged by the inflation of step 1. The first is the one
    that works in a queue. It looks at the median because the inflation in the tail is small exactly in those runs
    that met no long busy period: to answer only when it is small would select the runs that underestimate. What a
    run never met, such as a stall that comes once an hour, no interval from that run can hold.
    """
    _check(q, confidence)
    given = _InMemory(values) if isinstance(values, np.ndarray) else values
    if q < 0.5:
        mirrored = _upper(_Mirrored(given), 1.0 - q, confidence)
        ends = (mirrored.hi, mirrored.lo)
        lo, hi = (None if end is None else -end for end in ends)
        return Interval(lo, hi, DEPENDENT, confidence, mirrored.n_effective, mirrored.needed)
    return _upper(given, q, confidence)


def inflation(values: NDArray[Any], q: float) -> float:
    """Return how many values in a row, shape (n,), say as much about their quantile q as one independent value.

    1 + 2 * (sum of the autocorrelations of the indicator "lies above the quantile"), at least 1; where the sum ends,
    `autocorrelation.summed` says. In a short run of correlated values it comes out low (`effective` allows for it).
    """
    return _correlation(_InMemory(values), [q])[q][0]


def effective(n: int, factor: float, q: float) -> float:
    """Return how many independent values n >= 1 values with the estimated inflation `factor` are worth.

    n / factor is too many by about SURPLUS * q (1 - 1 / factor), nearly whatever n is; at least a fifth of it is left,
    as a run that short does not know.
    """
    estimate = n / factor
    return max(estimate - _surplus(factor, q), estimate / 5.0)


def early_stopping_needed(q: float, over: int = 1, confidence: float = 0.99, tolerance: float = 0.0) -> int:
    """Return how many requests MLPerf LoadGen asks for when `over` of them are slower than the bound on quantile q.

    The least h + over such that, if the true share of fast requests were only q - tolerance, at most `over` slow
    ones among h + over would be seen with a probability below 1 - confidence. LoadGen processes at least the number
    for over = 1 before it estimates a percentile (64 for p90, 662 for p99). It treats requests as independent.

    Source: mlcommons/inference, loadgen/early_stopping.cc; its odds are the regularised incomplete beta function.
    """
    from scipy.special import betainc

    _check(q, confidence)
    if over < 0:
        raise ValueError(f"the number of slow requests cannot be {over}")
    p = q - tolerance

    def passes(fast: int) -> bool:
        return float(betainc(fast, over + 1, p)) < 1.0 - confidence

    high = 1
    while not passes(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high + over


def early_stopping_estimate(values: NDArray[Any], q: float, confidence: float = 0.99) -> float | None:
    """Return LoadGen's percentile estimate of values, shape (n,): an upper bound at that confidence, or None.

    The t-th largest value, with the largest t >= 1 for which n requests are enough (`early_stopping_needed`); None
    when they are not enough for t = 1. Source: mlcommons/inference, loadgen/results.cc.
    """
    n = len(values)
    if n < early_stopping_needed(q, 1, confidence):
        return None
    low, high = 1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if early_stopping_needed(q, middle, confidence) <= n else (low, middle)
    return float(np.partition(values, n - low)[n - low])


@dataclass(frozen=True)
class _InMemory:
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def blocks(self) -> Iterator[NDArray[Any]]:
        yield self.values

    def ranked(self, ranks: Collection[int]) -> Mapping[int, float]:
        ordered = np.partition(self.values, [k - 1 for k in ranks])
        return {k: ordered[k - 1] for k in ranks}


@dataclass(frozen=True)
class _Mirrored:
    """The values with their signs changed."""

    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def blocks(self) -> Iterator[NDArray[Any]]:
        return (-block for block in self.values.blocks())

    def ranked(self, ranks: Collection[int]) -> Mapping[int, float]:
        found = self.values.ranked([len(self) + 1 - k for k in ranks])
        return {k: -found[len(self) + 1 - k] for k in ranks}


def _correlation(values: Values, quantiles: Collection[float]) -> dict[float, tuple[float, int]]:
    """Return the inflation of values at some of their quantiles, and up to which lag it was summed."""
    n = len(values)
    if n < 8:
        return dict.fromkeys(quantiles, (1.0, 0))
    ordered = sorted(quantiles)
    ranks = [rank(n, q) for q in ordered]
    ranked = values.ranked(set(ranks))
    thresholds = [ranked[k] for k in ranks]
    exceeded = np.zeros(n, np.int8)  # how many of the thresholds, by each value
    first = 0
    for block in values.blocks():
        for threshold in thresholds:
            exceeded[first : first + len(block)] += block > threshold
        first += len(block)
    return {q: autocorrelation.summed(exceeded > i) for i, q in enumerate(ordered)}


def _surplus(factor: float, q: float) -> float:
    return SURPLUS * q * (1.0 - 1.0 / factor)


def _long_enough(n: int, about_median: float, q: float) -> int:
    """Return how many values are expected to be answered: for which n over their inflation at the median, surplus and
    all, comes to requests_needed(q). At most n where that of these n values does."""
    required = requests_needed(q) - _surplus(about_median, 0.5)
    return math.ceil(round(n * required / effective(n, about_median, 0.5), 6))


def _upper(values: Values, q: float, confidence: float) -> Interval:
    """Return the dependence-aware interval for a quantile q >= 0.5."""
    from scipy.special import betaincinv, ndtri

    n, tail = len(values), 1.0 - q
    if n == 0:
        return Interval(None, None, DEPENDENT, confidence, 0.0, requests_needed(q))
    levels = {min(0.5, tail * wider) for wider in (1.0, 5.0, 10.0)}
    correlated_at = _correlation(values, {1.0 - level for level in levels | {0.5}})
    found = {level: correlated_at[1.0 - level] for level in levels | {0.5}}
    factor, lag = (max(column) for column in zip(*(found[level] for level in levels), strict=True))
    n_effective = effective(n, factor, q)
    needed = max(_long_enough(n, found[0.5][0], q), math.ceil(MIN_EFFECTIVE * factor / tail))
    if n < needed:
        return Interval(None, None, DEPENDENT, confidence, n_effective, needed)
    half = (1.0 - confidence) / 2.0
    clusters = n / factor * tail  # equal ones, beyond the quantile, or twice as many of geometric size
    correlated = 1.0 - 1.0 / factor
    luck = correlated * math.sqrt(LAG_WEIGHT * lag / n + CLUSTER_WEIGHT / clusters)
    luck *= (1.0 + SCARCITY * tail ** (1.0 / 3.0) * needed / n) * float(ndtri(half) / ndtri(0.025))
    fewer = n / factor * math.exp(-luck)
    more = n / factor * math.exp(SKEW * q * correlated / math.sqrt(clusters))
    fewest = n * float(betaincinv(fewer * tail, fewer * q + 1.0, half))
    most = n * float(betaincinv(more * tail + 1.0, more * q, 1.0 - half))
    low, high = max(n - math.floor(most), 1), n + 1 - max(math.ceil(fewest), 1)
    ranked = values.ranked({low, high})
    return Interval(float(ranked[low]), float(ranked[high]), DEPENDENT, confidence, n_effective, needed)


def _check(q: float, confidence: float) -> None:
    if not 0.0 < q < 1.0:
        raise ValueError(f"an interval needs a quantile between 0 and 1, not {q}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
