"""Arrivals with independent gaps."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.arrivals.base import OpenLoad


class Constant(OpenLoad):
    """Arrivals at equal distances."""

    arrivals: Literal["constant"] = "constant"

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The gaps are all 1/rate."""
        return np.cumsum(np.full(count, 1 / rate_rps)) * 1e9


class Poisson(OpenLoad):
    """Independent arrivals: exponential gaps."""

    arrivals: Literal["poisson"] = "poisson"

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Exponential gaps."""
        return np.cumsum(rng.exponential(1 / rate_rps, count)) * 1e9


class Gamma(OpenLoad):
    """Gamma gaps: more regular than poisson with `cv` below 1, burstier above."""

    arrivals: Literal["gamma"] = "gamma"
    cv: float = Field(gt=0, le=100)
    """Coefficient of variation of the gaps."""

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Gamma gaps of shape 1/cv²."""
        shape = self.cv**-2
        return np.cumsum(rng.gamma(shape, 1 / (rate_rps * shape), count)) * 1e9
