"""What a load is: a class of options, which draws the due times of its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.errors import PluginError, ScenarioError
from harness.keys import Keys
from harness.units import Cpus, Duration, Rate

CHUNK = 1 << 16
"""Due times that are made at once."""
LONGEST_S = 366 * 24 * 3600.0  # what fits into int64 nanoseconds, and then some

Floats = NDArray[np.float64]


class AnyLoad(Keys):
    """What every load has. A kind is a subclass of OpenLoad with a key `arrivals: Literal["NAME"] = "NAME"`.

    It is listed in harness.registry, or is the entry point of a plug-in.
    """

    if TYPE_CHECKING:
        arrivals: str
    recorded: ClassVar[bool] = False
    """Whether it brings due times of its own, so that it needs neither a rate nor a length: of Trace and its like."""

    requests: int | None = Field(default=None, ge=1, le=200_000_000)
    """Measured requests. Give this or `duration`."""
    duration: Duration | None = Field(default=None, gt=0)
    """Time during which requests arrive, counted behind the warm-up. Give this or `requests`."""
    warmup: int = Field(default=20, ge=0)
    """Requests that run first, under the same load, and are kept apart."""
    seed: int = Field(default=1, ge=0)
    """Of everything that is drawn: arrivals, images, service times and random weights each get a seed of their own."""
    cpus: Cpus | None = None
    """CPUs that the producer may run on: `0`, `0-1`, `0,4` or `[0, 4-6]`. Else any. Only where it is a process."""

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

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> Floats:
        """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

        rate_rps: the long-run mean rate. Nothing else than `rng` may be drawn from. Raises ScenarioError.
        """
        raise NotImplementedError

    def chunks_ns(self, rate_rps: float, count: int, rng: np.random.Generator, size: int) -> Iterator[Floats]:
        """The same in consecutive pieces of at most `size`, however they are cut the same to the bit.

        A kind that overrides it has schedules of any length in little memory, and needs no `times_ns`.
        """
        times_ns = self.times_ns(rate_rps, count, rng)
        yield from (times_ns[first : first + size] for first in range(0, len(times_ns), size))


def due_times(load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

    `rate_rps` is the long-run mean rate. The first request is due one gap after the start, except that a trace
    keeps its own times. Raises ScenarioError for a trace that cannot be read, and for times beyond a year.
    """
    return np.concatenate([np.empty(0, np.int64), *due_chunks(load, rate_rps, count, seed)])


def due_chunks(
    load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence, size: int = CHUNK
) -> Iterator[NDArray[np.int64]]:
    """The same due times in consecutive pieces of at most `size`, in memory that does not grow with `count`.

    Raises PluginError where a kind draws what is no schedule.
    """
    last_ns, drawn = 0.0, 0
    for chunk in load.chunks_ns(rate_rps, count, np.random.default_rng(seed), size):
        if len(chunk):
            if not (chunk[0] >= last_ns and (chunk[1:] >= chunk[:-1]).all()):  # nor where one is not a number
                raise PluginError("its due times do not ascend from 0", where=f"load.arrivals: {load.arrivals}")
            last_ns, drawn = chunk[-1], drawn + len(chunk)
        yield nanoseconds(chunk)
    if drawn != count and not load.recorded:
        raise PluginError(f"it made {drawn:,} due times of {count:,}", where=f"load.arrivals: {load.arrivals}")


def sums(draw: Callable[[int], Floats], count: int, size: int) -> Iterator[Floats]:
    """The cumulative sum of `count` draws, in pieces of at most `size`. draw: returns so many of the next draws."""
    so_far = 0.0
    for first in range(0, count, size):
        drawn = draw(min(size, count - first))
        drawn[0] += so_far  # the additions are those of one sum, in its order
        summed = np.cumsum(drawn)
        so_far = float(summed[-1])
        yield summed


def nanoseconds(times_ns: Floats) -> NDArray[np.int64]:
    """Whole ns. Raises ScenarioError for times beyond a year."""
    if len(times_ns) and times_ns[-1] > LONGEST_S * 1e9:
        raise ScenarioError(
            f"the last request would be due after {times_ns[-1] / 86400e9:,.0f} days",
            where="load",
            hint="Raise the rate, or lower the number of requests.",
        )
    due: NDArray[np.int64] = times_ns.astype(np.int64)
    return due
