"""Where the service times of a simulated run come from: a given distribution, a scenario's delay stages, or samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.plan import Plan
from harness.records import Ints
from harness.stages import StageOptions
from harness.twin.pipeline import Pipeline


class Services(Protocol):
    """What draws the service times of `count` requests: int64 of shape (count, m) for each stage, see `Demand`."""

    def draw(self, pipeline: Pipeline, count: int, rng: np.random.Generator) -> tuple[Ints, ...]:
        """The same generator state gives the same times."""


@dataclass(frozen=True)
class GammaServices:
    """One stage whose service times have a mean and a coefficient of variation: constant for 0, exponential for 1.

    adds_ns: what each further request of a batch adds.
    """

    mean_ns: float
    cv: float
    adds_ns: float = 0.0

    def draw(self, pipeline: Pipeline, count: int, rng: np.random.Generator) -> tuple[Ints, ...]:
        """Gamma distributed, scaled by what a batch of each size takes on average."""
        draws = rng.gamma(self.cv**-2, self.cv**2, count) if self.cv else np.ones(count)
        means = self.mean_ns + self.adds_ns * np.arange(pipeline.stations[0].batch_max)
        return (whole_ns(draws[:, None] * means[None, :]),)


@dataclass(frozen=True)
class GivenServices:
    """The stages of a Plan whose options tell what their service takes, such as delay and null."""

    plan: Plan

    def unknown(self) -> list[str]:
        """Stages that would have to be measured."""
        return [s.name for s in self.plan.stages if not s.options.given_services]

    def draw(self, pipeline: Pipeline, count: int, rng: np.random.Generator) -> tuple[Ints, ...]:
        """A batch takes the draw of its first request."""
        return tuple(given_times(stage.options, count, rng) for stage in self.plan.stages)


def given_times(options: StageOptions, count: int, rng: np.random.Generator) -> Ints:
    """Service times of a stage whose options tell them, shape (count, 1)."""
    return whole_ns(options.services_ns(count, rng))[:, None]


def whole_ns(times: NDArray[np.floating[Any]]) -> Ints:
    """Whole ns, at least 1."""
    whole: Ints = np.maximum(np.rint(times), 1).astype(np.int64)
    return whole


def pick(samples: Ints, uniform: NDArray[np.float64]) -> Ints:
    """One of the samples, shape (n,), for each number in [0, 1), shape (count,)."""
    return samples[(uniform * len(samples)).astype(np.int64)]
