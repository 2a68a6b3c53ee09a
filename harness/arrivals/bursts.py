"""Arrivals in bursts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from harness.arrivals.base import Floats, OpenLoad, sums
from harness.errors import ScenarioError
from harness.units import Duration

MOST_PERIODS = 20_000_000


class Bursts(OpenLoad):
    """On and off periods of exponential length; poisson arrivals in the on periods (interrupted Poisson process)."""

    arrivals: Literal["bursts"] = "bursts"
    on_time: Duration = Field(default=100_000_000, gt=0)
    """Mean length of an on period."""
    off_time: Duration = 400_000_000
    """Mean length of an off period. `rate` stays the mean over both."""

    def chunks_ns(self, rate_rps: float, count: int, rng: np.random.Generator, size: int) -> Iterator[Floats]:
        """Poisson arrivals on the clock of the on periods; each off period shifts what comes after it.

        All arrivals are drawn before the first on period, and all of these before the first off period. So the draws
        are made once to find out where each kind begins, and again by a generator of its own for each.
        """
        on_rate_rps = rate_rps * (self.on_time + self.off_time) / self.on_time
        arrivals = copy.deepcopy(rng)
        last_ns = 0.0
        for busy_ns in sums(lambda n: rng.exponential(1e9 / on_rate_rps, n), count, size):
            last_ns = float(busy_ns[-1])
        periods = max(16, int(last_ns / self.on_time))
        if periods > MOST_PERIODS:
            raise ScenarioError(
                f"the schedule would hold {periods:,} on periods", where="load.on_time", hint="Make them longer."
            )
        on, rounds, end_ns = copy.deepcopy(rng), 0, 0.0
        while rounds == 0 or end_ns < last_ns:
            rounds, since_ns = rounds + 1, end_ns
            for sums_ns in sums(lambda n: rng.exponential(self.on_time, n), periods, size):
                end_ns = since_ns + float(sums_ns[-1])
        return _shifted(
            sums(lambda n: arrivals.exponential(1e9 / on_rate_rps, n), count, size),
            _ends(lambda n: on.exponential(self.on_time, n), rounds, periods, size),
            sums(lambda n: rng.exponential(self.off_time, n), rounds * periods, size),
        )


def _ends(draw: Callable[[int], Floats], rounds: int, periods: int, size: int) -> Iterator[Floats]:
    """When each on period ends, on their own clock: a sum that is taken anew, from its last value on, in each round.

    Cut as one sum over all rounds would be.
    """
    held, since_ns = np.empty(0), 0.0
    for _ in range(rounds):
        for sums_ns in sums(draw, periods, size):
            held = np.concatenate([held, since_ns + sums_ns])
            last_ns = float(held[-1])
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
        since_ns = last_ns
    if len(held):
        yield held


def _shifted(busy_ns: Iterator[Floats], ends_ns: Iterator[Floats], off_ns: Iterator[Floats]) -> Iterator[Floats]:
    """Each arrival, later by all off periods before it.

    ends_ns, off_ns, cut alike: the end of each on period, and all off periods up to the one behind it.
    """
    ends, off, before_ns = np.empty(0), np.empty(0), 0.0
    for arrivals_ns in busy_ns:
        while not len(ends) or ends[-1] < arrivals_ns[-1]:
            ends, off = np.concatenate([ends, next(ends_ns)]), np.concatenate([off, next(off_ns)])
        shift = np.concatenate([[before_ns], off])
        yield arrivals_ns + shift[np.searchsorted(ends, arrivals_ns)]
        over = int(np.searchsorted(ends, arrivals_ns[-1]))
        ends, off, before_ns = ends[over:], off[over:], float(shift[over])
