"""What a queueing model answers: distributions, predictions, or that there is no steady state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.numbers import rate

Kind = Literal["exact", "numerical", "approximation", "upper bound"]

HIGHEST_QUANTILE = 1.0 - 1e-10
"""Numerical survival functions carry an absolute error of about 1e-13; above this it would show in a quantile."""


@dataclass(frozen=True)
class Distribution:
    """The distribution of a time in seconds: its mean, and survival(t_s) = P(time > t_s) for t_s >= 0."""

    mean_s: float
    survival: Callable[[float], float]

    def cdf(self, t_s: float) -> float:
        """Return P(time <= t_s)."""
        return 1.0 - self.survival(t_s) if t_s >= 0.0 else 0.0

    def quantile_s(self, q: float) -> float:
        """Return the smallest time that a share q of requests does not exceed, to twelve digits, by bisection."""
        if not 0.0 <= q <= HIGHEST_QUANTILE:
            raise ValueError(f"a quantile of a model lies between 0 and {HIGHEST_QUANTILE}, not at {q}")
        target = 1.0 - q
        if self.survival(0.0) <= target:
            return 0.0
        low, high = 0.0, self.mean_s
        while self.survival(high) > target:
            low, high = high, 2.0 * high
        while high - low > 1e-12 * high:
            middle = 0.5 * (low + high)
            if self.survival(middle) > target:
                low = middle
            else:
                high = middle
        return high


@dataclass(frozen=True)
class Prediction:
    """A steady state with the whole distribution of the sojourn time (waiting and service) of accepted requests.

    utilisation: mean share of the servers that are busy. For several stages that of the busiest one.
    waiting: None where only its mean is known (tandem).
    loss: probability that a request is refused; throughput_rps is the rate of those that are not.
    """

    model: str
    kind: Kind
    utilisation: float
    throughput_rps: float
    waiting_mean_s: float
    sojourn: Distribution
    waiting: Distribution | None = None
    loss: float = 0.0

    @property
    def in_system(self) -> float:
        """Mean number of requests in the system, by Little's law."""
        return self.throughput_rps * self.sojourn.mean_s


@dataclass(frozen=True)
class MeanPrediction:
    """A steady state of which a model knows the means only; waiting_mean_s is None where it is not known either."""

    model: str
    kind: Kind
    utilisation: float
    throughput_rps: float
    sojourn_mean_s: float
    waiting_mean_s: float | None = None


@dataclass(frozen=True)
class NoSteadyState:
    """The load is at or above what the system can carry: latencies grow for as long as it lasts."""

    model: str
    utilisation: float
    growth_rps: float

    def __str__(self) -> str:
        if self.growth_rps > 0.0:
            return f"no steady state ({self.model}): the backlog grows by {rate(self.growth_rps)}"
        return f"no steady state ({self.model}): the load equals the capacity, and the backlog grows without bound"


def require_positive(**values: float) -> None:
    """Raise ValueError for the first of the named values that is not a positive number."""
    for name, value in values.items():
        if not 0.0 < value < float("inf"):
            raise ValueError(f"{name} must be a positive number, not {value}")
