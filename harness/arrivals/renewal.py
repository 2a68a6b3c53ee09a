"""Arrivals with independent gaps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
from pydantic import Field

from harness.arrivals.base import Floats, OpenLoad, sums


class Renewal(OpenLoad):
    """Gaps that do not depend on one another."""

    def gaps_s(self, rate_rps: float, rng: np.random.Generator, count: int) -> Floats:
        """The next so many gaps."""
        raise NotImplementedError

    def chunks_ns(self, rate_rps: float, count: int, rng: np.random.Generator, size: int) -> Iterator[Floats]:
        """The sum of the gaps."""
        return (times_s * 1e9 for times_s in sums(partial(self.gaps_s, rate_rps, rng), count, size))


class Constant(Renewal):
    """Arrivals at equal distances."""

    arrivals: Literal["constant"] = "constant"

    def gaps_s(self, rate_rps: float, rng: np.random.Generator, count: int) -> Floats:
        """All are 1/rate."""
        return np.full(count, 1 / rate_rps)


class Poisson(Renewal):
    """Independent arrivals: exponential gaps."""

    arrivals: Literal["poisson"] = "poisson"

    def gaps_s(self, rate_rps: float, rng: np.random.Generator, count: int) -> Floats:
        """Exponential gaps."""
        return rng.exponential(1 / rate_rps, count)


class Gamma(Renewal):
    """Gamma gaps: more regular than poisson with `cv` below 1, burstier above."""

    arrivals: Literal["gamma"] = "gamma"
    cv: float = Field(gt=0, le=100)
    """Coefficient of variation of the gaps."""

    def gaps_s(self, rate_rps: float, rng: np.random.Generator, count: int) -> Floats:
        """Gamma gaps of shape 1/cv²."""
        shape = self.cv**-2
        return rng.gamma(shape, 1 / (rate_rps * shape), count)
