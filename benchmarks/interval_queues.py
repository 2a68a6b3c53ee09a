"""Simulated queues in steady state with known quantiles of the sojourn time, for benchmarks.interval_coverage.

Many runs at once in NumPy, shape (runs, requests). Mean service time 1. Every run begins after LEAD_IN requests that
are thrown away: some forty relaxation times of the slowest queue here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import theory

Floats = NDArray[np.float64]

LEAD_IN = 4_000
AT_ONCE = 4_000_000
"""Requests simulated at once: 32 MB an array."""

LAW_POINTS = 4096
TRUTH_RUNS, TRUTH_REQUESTS = 1_200, 40_000
"""What a quantile that no theory knows is estimated from: 48 million requests."""


@dataclass(frozen=True)
class Queue:
    """First come first served, Poisson arrivals.

    cv: coefficient of variation of the services: exponential for 1, else lognormal. A service of a lognormal queue
    with one server takes one of LAW_POINTS equally likely values, which makes the theory's answer exact for it.
    lag_one: autocorrelation of the logarithms of successive services, which are then an autoregressive series.
    """

    utilisation: float
    cv: float
    servers: int = 1
    lag_one: float = 0.0

    @property
    def name(self) -> str:
        """As Kendall would, and what else there is to say."""
        service = "M" if self.cv == 1.0 else "G"
        more = f", lag one {self.lag_one:g}" if self.lag_one else ""
        return f"M/{service}/{self.servers}" + (f", cv {self.cv:g}" if service == "G" else "") + more

    @property
    def key(self) -> tuple[int, ...]:
        """For random numbers of its own."""
        return (self.servers, *(round(1e3 * x) for x in (self.utilisation, self.cv, self.lag_one)))

    def sojourns(self, rng: np.random.Generator, runs: int, requests: int) -> Iterator[Floats]:
        """Yield sojourn times in order of arrival, shape (some of the runs, requests), `runs` in all."""
        length = LEAD_IN + requests
        while runs > 0:
            some = min(runs, max(AT_ONCE // length, 1))
            runs -= some
            services = self._services(rng, (some, length))
            due = np.cumsum(rng.exponential(1.0 / (self.utilisation * self.servers), (some, length)), axis=1)
            yield (_one_server if self.servers == 1 else self._several_servers)(due, services)[:, LEAD_IN:]

    def quantiles(self, levels: tuple[float, ...]) -> tuple[list[float], list[float]]:
        """The sojourn time's quantiles, and their standard errors: 0 where theory knows them."""
        if self.cv == 1.0 and not self.lag_one:
            model = theory.mmc(self.utilisation * self.servers, 1.0, self.servers)
        elif self.servers == 1 and not self.lag_one:
            model = theory.mg1(self.utilisation, self._law())
        else:
            return self._estimated(levels)
        assert isinstance(model, theory.Prediction)
        return [model.sojourn.quantile_s(q) for q in levels], [0.0] * len(levels)

    def _estimated(self, levels: tuple[float, ...]) -> tuple[list[float], list[float]]:
        rng = np.random.default_rng([20_011, round(1e3 * self.utilisation), round(1e3 * self.cv), self.servers])
        chunks = [np.quantile(chunk, levels) for chunk in self.sojourns(rng, TRUTH_RUNS, TRUTH_REQUESTS)]
        each = np.array(chunks)  # of some 90 runs together, whose quantile has next to no bias
        return each.mean(0).tolist(), (each.std(0, ddof=1) / len(each) ** 0.5).tolist()

    def _law(self) -> Floats:
        from scipy.special import ndtri

        spread = np.log1p(self.cv**2) ** 0.5
        values = np.exp(spread * ndtri((np.arange(LAW_POINTS) + 0.5) / LAW_POINTS))
        return np.asarray(values / values.mean())

    def _services(self, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        if self.lag_one:
            spread = np.log1p(self.cv**2) ** 0.5
            return np.asarray(np.exp(spread * _autoregressive(rng, shape, self.lag_one) - spread**2 / 2.0))
        if self.cv == 1.0:
            return rng.exponential(1.0, shape)
        return self._law()[rng.integers(0, LAW_POINTS, shape)]

    def _several_servers(self, due: Floats, services: Floats) -> Floats:
        """Sojourn times: who arrives next is served by the server that is free first."""
        runs = np.arange(len(due))
        free = np.zeros((len(due), self.servers))
        sojourns = np.empty_like(due)
        for k in range(due.shape[1]):
            first = free.argmin(axis=1)
            done = np.maximum(free[runs, first], due[:, k]) + services[:, k]
            free[runs, first] = done
            sojourns[:, k] = done - due[:, k]
        return sojourns


@dataclass(frozen=True)
class LognormalSeries:
    """No queue and no busy periods: exponentials of a stationary Gaussian autoregressive series, which is symmetric."""

    lag_one: float
    utilisation: float = 0.0

    @property
    def name(self) -> str:
        """What it is."""
        return f"lognormal series, lag one {self.lag_one:g}"

    @property
    def key(self) -> tuple[int, ...]:
        """For random numbers of its own."""
        return (0, round(1e3 * self.lag_one))

    def sojourns(self, rng: np.random.Generator, runs: int, requests: int) -> Iterator[Floats]:
        """Yield the values, shape (some of the runs, requests), `runs` in all."""
        while runs > 0:
            some = min(runs, max(AT_ONCE // requests, 1))
            runs -= some
            yield np.exp(_autoregressive(rng, (some, requests), self.lag_one))

    def quantiles(self, levels: tuple[float, ...]) -> tuple[list[float], list[float]]:
        """The exact quantiles, and no standard errors."""
        from scipy.special import ndtri

        return [float(np.exp(ndtri(q))) for q in levels], [0.0] * len(levels)


def _autoregressive(rng: np.random.Generator, shape: tuple[int, int], lag_one: float) -> Floats:
    """Rows of stationary standard normal series."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(shape)
    noise[:, 1:] *= (1.0 - lag_one**2) ** 0.5
    return np.asarray(lfilter([1.0], [1.0, -lag_one], noise))


def _one_server(due: Floats, services: Floats) -> Floats:
    """Sojourn times by Lindley's recursion: the server was last idle before the request j <= k that gives the largest
    due_j + work_k - work_(j-1)."""
    work = np.cumsum(services, axis=1)
    return np.asarray(np.maximum.accumulate(due - work + services, axis=1) + work - due)
