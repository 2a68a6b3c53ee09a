"""Quantiles of latencies, by one definition everywhere, and how many requests an interval on one needs.

The quantile q of n values is the smallest value that at least a share q of them does not exceed: the order
statistic of rank ceil(n q), type 1 of Hyndman and Fan (1996), numpy's `inverted_cdf`. It is always a latency that a
request really had (an interpolated p99 of a two-mode distribution lies where no request ever was), it does not
depend on gaps between the largest values, and the distribution-free intervals in `intervals` are ranks too, so that
an estimate and the ends of its interval speak of the same thing.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.stats.ranks import OrderStatistics
from harness.summary import FIGURES, LEVELS

MIN_TAIL = 12
"""Independent requests beyond a quantile that an interval on it asks for; benchmarks/interval_coverage shows why."""

NS_PER_MS = 1e6


def rank(n: int, q: float) -> int:
    """Rank, from 1 to n, of the order statistic that is the quantile q of n values."""
    if n < 1:
        raise ValueError("a quantile needs at least one value")
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
    # In floating point 0.99 * 300 is 297.00000000000006 and would be rounded up to 298.
    exact = Fraction(repr(float(q))) * n
    return min(max(math.ceil(exact), 1), n)


def quantile(values: NDArray[Any], q: float) -> float:
    """Return the quantile q of values (any real dtype, shape (n,), n >= 1), in the unit of the values."""
    k = rank(len(values), q) - 1
    return float(np.partition(values, k)[k])


def summarise(values_ns: NDArray[Any]) -> dict[str, float | None]:
    """Summarise latencies in ns (int64 or float, shape (n,)) as milliseconds, under FIGURES.

    Of no values at all nothing is known: every entry is None. A NaN is an error of the caller (ValueError), because
    a request without a latency has to be counted as failed, not left out in silence.
    """
    if len(values_ns) == 0:
        return dict.fromkeys(FIGURES)
    ordered = np.sort(np.asarray(values_ns))
    if ordered.dtype.kind == "f" and np.isnan(ordered[-1]):
        raise ValueError("a latency is NaN")
    figures: dict[str, float | None] = {"mean": float(ordered.mean(dtype=np.float64)) / NS_PER_MS}
    for name, q in LEVELS.items():
        figures[name] = float(ordered[rank(len(ordered), q) - 1]) / NS_PER_MS
    figures["min"] = float(ordered[0]) / NS_PER_MS
    figures["max"] = float(ordered[-1]) / NS_PER_MS
    return figures


def ranks(n: int) -> set[int]:
    """Of the order statistics that a summary of n values shows."""
    return {rank(n, q) for q in LEVELS.values()} if n else set()


def summary_of(order: OrderStatistics, lost: int = 0) -> dict[str, float | None]:
    """`summarise` of values that were gone over in blocks, and of `lost` ones that are infinite.

    order: to be asked for the `ranks` of so many values, as far as these are not among the lost.
    """
    n = order.count + lost
    if not n:
        return dict.fromkeys(FIGURES)

    def at(k: int) -> float:
        return order.at(k) / NS_PER_MS if k <= order.count else math.inf

    quantiles = {name: at(rank(n, q)) for name, q in LEVELS.items()}
    mean = math.inf if lost or order.mean is None else order.mean / NS_PER_MS
    least, most = (math.inf if end is None else end / NS_PER_MS for end in (order.least, order.largest))
    return {"mean": mean, **quantiles, "min": least, "max": math.inf if lost else most}


def requests_needed(q: float) -> int:
    """Return how many independent requests the dependence-aware interval on the quantile q needs.

    MIN_TAIL of them are beyond the quantile, on its thinner side.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"an interval needs a quantile between 0 and 1, not {q}")
    return math.ceil(round(MIN_TAIL / min(q, 1.0 - q), 6))
