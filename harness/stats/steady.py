"""Is there a steady state? Backlog growth, and the trend of the latencies.

A p99 describes a system only when there is one p99 to describe. Above its capacity a pipeline's backlog and every
latency grow as long as the load lasts, and the p99 then measures the length of the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.summary import Backlog, SteadyState, Trend, Verdict

BLOCKS = 20
FEWEST_REQUESTS = 40
"""Below this a block holds a single request and no verdict but "steady" is possible."""

TREND_BATCHES = 2 * BLOCKS

NS_PER_S = 1e9


NO_TREND = Trend(0.0, 0.0, 1.0)
"""Of fewer values than there are batches."""


def steady_state(
    due_ns: NDArray[Any],
    completed_ns: NDArray[Any],
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    growth_level: float = 0.13,
    trend_level: float = 0.01,
) -> SteadyState:
    """Judge a run with an open load from its requests' due and completed times (int64 ns, shape (n,), n >= 2).

    Requests that were dropped are left out by the caller; a failed one counts with the time when it left. The window
    is the arrival window by default, first to last due time: afterwards the backlog only drains.

    saturated: the backlog grew, at `growth_level` (one-sided). The level is generous because the statistic is a
        conservative one under a steady state (see `backlog_growth`).
    drifting: no such growth, but the latencies have a trend, at `trend_level` (two-sided): a warm-up that was not
        set apart, a machine that slows down, a load that changes.
    """
    due, completed, start, end = _window(due_ns, completed_ns, start_ns, end_ns)
    window = ArrivalWindow(start, end, int(np.count_nonzero((due >= start) & (due <= end))))
    window.add(due, completed)
    return window.judge(growth_level=growth_level, trend_level=trend_level)


class ArrivalWindow:
    """What `steady_state` judges a run by, counted block by block, of requests in the order of their due times.

    start_ns, end_ns: the window. inside: how many of the requests are due in it.
    """

    def __init__(self, start_ns: int, end_ns: int, inside: int) -> None:
        self._start, self._end, self._inside = start_ns, end_ns, inside
        self._requests = self._due = 0  # so far: all, and those due inside
        self._edges = _edges(start_ns, end_ns)
        self._entered, self._left = (np.zeros(len(self._edges) + 1, np.int64) for _ in range(2))
        self._completions = 0
        self._busy = _Span()
        self._size = inside // TREND_BATCHES
        self._sums = [0] * TREND_BATCHES  # of latencies; whole, and so exact

    def add(self, due_ns: NDArray[np.int64], completed_ns: NDArray[np.int64]) -> None:
        """The next requests. Within a block their order does not matter."""
        due, completed, start, end = due_ns, completed_ns, self._start, self._end
        self._requests += len(due)
        for times, counts in ((due, self._entered), (completed, self._left)):
            counts += np.bincount(np.searchsorted(self._edges, times, side="left"), minlength=len(counts))
        self._completions += int(np.count_nonzero((completed > start) & (completed <= end)))
        # The first quarter is left out because the pipeline fills in it.
        self._busy.add(completed[(completed >= start + (end - start) // 4) & (completed <= end)])
        inside = (due >= start) & (due <= end)
        due, latency = due[inside], (completed - due)[inside]
        if np.any(due[1:] < due[:-1]):
            latency = latency[np.argsort(due, kind="stable")]
        self._add_latency(latency)

    def _add_latency(self, latency: NDArray[np.int64]) -> None:
        first = self._due - (self._inside - self._size * TREND_BATCHES)  # its number among those in batches
        self._due += len(latency)
        if not self._size:
            return
        number = max(first, 0)
        latency = latency[number - first :]
        while len(latency):
            batch, place = divmod(number, self._size)
            here, latency = latency[: self._size - place], latency[self._size - place :]
            self._sums[batch] += int(here.sum())
            number += len(here)

    def judge(self, *, growth_level: float = 0.13, trend_level: float = 0.01) -> SteadyState:
        """See `steady_state`."""
        in_system = np.cumsum(self._entered - self._left)[:-1]
        backlog = backlog_growth(in_system, self._edges, self._requests)
        latency_trend = trend_of_means(np.array(self._sums) / self._size, self._size) if self._size else NO_TREND
        duration_s = (self._end - self._start) / NS_PER_S
        verdict: Verdict = "steady"
        capacity = None
        if backlog.growth_rps > 0.0 and backlog.p_value < growth_level:
            verdict = "saturated"
            capacity = self._busy.rate
        elif latency_trend.p_value < trend_level:
            verdict = "drifting"
        return SteadyState(
            verdict=verdict,
            # n due times have n - 1 gaps between them.
            offered_rps=max(self._inside - 1, 0) / duration_s,
            completed_rps=self._completions / duration_s,
            growth_rps=backlog.growth_rps,
            capacity_rps=capacity,
            backlog=backlog,
            trend=latency_trend,
        )


@dataclass
class _Span:
    """How many times there are, and the first and the last of them."""

    count: int = 0
    first: int = 0
    last: int = 0

    def add(self, times: NDArray[np.int64]) -> None:
        if len(times):
            least, most = int(times.min()), int(times.max())
            self.first = min(self.first, least) if self.count else least
            self.last = max(self.last, most) if self.count else most
            self.count += len(times)

    @property
    def rate(self) -> float | None:
        """Per second, between the first and the last; None where these are one."""
        if self.count < 2 or self.last == self.first:
            return None
        return (self.count - 1) / (float(self.last - self.first) / NS_PER_S)


def _edges(start_ns: int, end_ns: int) -> NDArray[np.int64]:
    """The ends of the equal spans, without the begin of the first."""
    shares = np.linspace(0.0, 1.0, BLOCKS + 2)[1:]
    edges: NDArray[np.int64] = start_ns + np.rint(shares * (end_ns - start_ns)).astype(np.int64)
    return edges


def backlog_growth(in_system: NDArray[np.int64], edges: NDArray[np.int64], requests: int) -> Backlog:
    """Test whether the number in the system grew over the window.

    edges: the ends of its spans, ns; in_system: how many of all `requests` are due and not completed at each. The
    window is cut into BLOCKS + 1 spans of equal time; the pipeline fills in the first, and the growth in each of
    the others is one observation of a t test (one-sided). In an overloaded queue the growths of disjoint spans are
    all but independent, so that the test is exact enough. In a steady one they are negatively correlated, because
    what builds up drains again: their sum stays that of one backlog while the test expects it to spread with the
    square root of their number, so the test errs towards "steady", the more the longer the run.
    """
    from scipy.special import stdtr

    duration_s = float(edges[-1] - edges[0]) / NS_PER_S
    growth = np.diff(in_system).astype(np.float64)
    rate = float(growth.sum()) / duration_s
    spread = float(growth.std(ddof=1)) / math.sqrt(BLOCKS)
    if requests < FEWEST_REQUESTS or rate == 0.0:
        return Backlog(rate, 0.0, 0.5)
    # Where nothing is random the spread is that of rounding to whole requests: three more or less are no growth.
    t = float(growth.mean()) / max(spread, 3.0 / BLOCKS)
    return Backlog(rate, t, 1.0 - float(stdtr(BLOCKS - 1, t)))


def trend(values: NDArray[Any], batches: int = TREND_BATCHES) -> Trend:
    """Test a series, shape (n,), for a linear trend, allowing for its autocorrelation; see `trend_of_means`."""
    size = len(values) // batches
    if size < 1:
        return NO_TREND
    means = np.asarray(values[len(values) - size * batches :], dtype=np.float64).reshape(batches, size).mean(axis=1)
    return trend_of_means(means, size)


def trend_of_means(means: NDArray[np.float64], size: int) -> Trend:
    """Test the means of successive batches, shape (batches,), of `size` values each for a linear trend of the values.

    Least squares through the batch means. The batch means of a queue's latencies are still correlated when the
    batches are short, so the lag-1 autocorrelation r of the residuals reduces the number of observations to
    n (1 - r) / (1 + r), in the standard error and in the degrees of freedom (Santer et al., Journal of Geophysical
    Research 105, 2000, equations 3 to 6). r is corrected for its bias in short series first, by (1 + 4 r) / n
    (Kendall and Stuart, The Advanced Theory of Statistics, vol. 3, 1966, section 48.3).
    """
    from scipy.special import stdtr

    batches = len(means)
    x = np.arange(batches) - (batches - 1) / 2.0
    slope = float(x @ means) / float(x @ x)
    residual = means - means.mean() - slope * x
    squares = float(residual @ residual)
    if squares <= 1e-18 * float(means @ means):
        flat = abs(slope) * batches <= 1e-9 * float(np.abs(means).max(initial=0.0))
        return Trend(slope / size, 0.0, 1.0) if flat else Trend(slope / size, math.copysign(math.inf, slope), 0.0)
    r = float(residual[1:] @ residual[:-1]) / squares
    r = min(max(r + (1.0 + 4.0 * max(r, 0.0)) / batches, 0.0), 0.99)
    independent = batches * (1.0 - r) / (1.0 + r)
    freedom = max(independent - 2.0, 1.0)
    t = slope / math.sqrt(squares / freedom / float(x @ x))
    return Trend(slope / size, t, 2.0 * float(stdtr(freedom, -abs(t))))


def _window(
    due_ns: NDArray[Any], completed_ns: NDArray[Any], start_ns: int | None, end_ns: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Return the arrays as int64 and the window, by default from the first to the last due time."""
    due, completed = np.asarray(due_ns, dtype=np.int64), np.asarray(completed_ns, dtype=np.int64)
    if len(due) < 2 or len(due) != len(completed):
        raise ValueError(f"{len(due)} due and {len(completed)} completed times do not make a run")
    start = int(due.min()) if start_ns is None else int(start_ns)
    end = int(due.max()) if end_ns is None else int(end_ns)
    if end <= start:
        raise ValueError("the window has no length")
    return due, completed, start, end
