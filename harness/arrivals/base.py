"""What a load is: a class of options, which draws the due times of its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.errors import ScenarioError
from harness.keys import Keys
from harness.units import Duration, Rate

LONGEST_S = 366 * 24 * 3600.0  # what fits into int64 nanoseconds, and then some


class AnyLoad(Keys):
    """What every load has. A kind is a subclass of OpenLoad with a key `arrivals: Literal["NAME"] = "NAME"`.

    It is listed in harness.registry, or is the entry point of a plug-in.
    """

    if TYPE_CHECKING:
        arrivals: str
    recorded: ClassVar[bool] = False
    """Whether it brings due times of its own, so that it needs neither a rate nor a length."""

    requests: int | None = Field(default=None, ge=1, le=50_000_000)
    """Measured requests. Give this or `duration`."""
    duration: Duration | None = Field(default=None, gt=0)
    """Time during which requests arrive, counted behind the warm-up. Give this or `requests`."""
    warmup: int = Field(default=20, ge=0)
    """Requests that run first, under the same load, and are kept apart."""
    seed: int = Field(default=1, ge=0)
    """Of everything that is drawn: arrivals, images, service times and random weights each get a seed of their own."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.requests is not None and self.duration is not None:
            raise ValueError("requests and duration exclude one another")
        if self.requests is None and self.duration is None and not self.recorded:
            raise ValueError("requests or duration is needed")
        return self


class OpenLoad(AnyLoad):
    """Requests arrive at times that do not depend on what the pipeline does."""

    rate: Rate | None = None
    """Offered load. Give this or `utilisation`."""
    utilisation: float | None = Field(default=None, gt=0, le=10)
    """Offered load as a fraction of the capacity that a short saturated calibration finds first, on this machine."""
    calibration: Duration = Field(default=4_000_000_000, gt=0)
    """How long that calibration saturates the pipeline. It ends sooner once it has offered some 20,000 requests."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.rate is not None and self.utilisation is not None:
            raise ValueError("rate and utilisation exclude one another")
        if self.rate is None and self.utilisation is None and not self.recorded:
            raise ValueError("rate (such as 20/s) or utilisation (such as 0.6) is needed")
        return self

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

        rate_rps: the long-run mean rate. Nothing else than `rng` may be drawn from. Raises ScenarioError.
        """
        raise NotImplementedError


def due_times(load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

    `rate_rps` is the long-run mean rate. The first request is due one gap after the start, except that a trace
    keeps its own times. Raises ScenarioError for a trace that cannot be read, and for times beyond a year.
    """
    return nanoseconds(load.times_ns(rate_rps, count, np.random.default_rng(seed)))


def nanoseconds(times_ns: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole ns. Raises ScenarioError for times beyond a year."""
    if len(times_ns) and times_ns[-1] > LONGEST_S * 1e9:
        raise ScenarioError(
            f"the last request would be due after {times_ns[-1] / 86400e9:,.0f} days",
            where="load",
            hint="Raise the rate, or lower the number of requests.",
        )
    due: NDArray[np.int64] = times_ns.astype(np.int64)
    return due
