"""Arrivals in bursts."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.arrivals.base import OpenLoad
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

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Poisson arrivals on the clock of the on periods; each off period shifts what comes after it."""
        on_rate_rps = rate_rps * (self.on_time + self.off_time) / self.on_time
        busy_ns = np.cumsum(rng.exponential(1e9 / on_rate_rps, count))
        last_ns = busy_ns[-1] if count else 0.0
        periods = max(16, int(last_ns / self.on_time))
        if periods > MOST_PERIODS:
            raise ScenarioError(
                f"the schedule would hold {periods:,} on periods", where="load.on_time", hint="Make them longer."
            )
        ends_ns = np.cumsum(rng.exponential(self.on_time, periods))
        while ends_ns[-1] < last_ns:
            ends_ns = np.concatenate([ends_ns, ends_ns[-1] + np.cumsum(rng.exponential(self.on_time, periods))])
        off_ns = np.concatenate([[0.0], np.cumsum(rng.exponential(self.off_time, len(ends_ns)))])
        shifted: NDArray[np.float64] = busy_ns + off_ns[np.searchsorted(ends_ns, busy_ns)]
        return shifted
