"""Due times that are made whenever they are wanted, so that a schedule of any length takes no memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.arrivals.base import OpenLoad, due_chunks
from harness.errors import ScenarioError


@dataclass(frozen=True)
class Schedule:
    """Due times in ns from its start, made piece by piece whenever it is iterated over, the same each time.

    drawn: how many are drawn, of which the first `count` belong to it.
    """

    load: OpenLoad
    rate_rps: float
    drawn: int
    seed: np.random.SeedSequence
    count: int

    @classmethod
    def of(cls, load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence) -> Schedule:
        """The first `count` due times. Raises ScenarioError where they cannot be had, now and not half-way."""
        for _ in due_chunks(load, rate_rps, count, seed):
            pass
        return cls(load, rate_rps, count, seed, count)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        left = self.count
        for due in due_chunks(self.load, self.rate_rps, self.drawn, self.seed):
            yield due[:left]
            left -= len(due)
            if left <= 0:
                return

    @classmethod
    def within_duration(
        cls, load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence, name: str
    ) -> Schedule | None:
        """Those of the first `count` due times that lie within the load's duration; None where more may.

        Raises ScenarioError where none does that would be measured. name: the scenario's, for that.
        """
        assert load.duration is not None
        begin, end, within, seen = 0, 0, 0, 0
        for due in due_chunks(load, rate_rps, count, seed):
            if seen < load.warmup <= seen + len(due):
                begin = int(due[load.warmup - 1 - seen])
            end = begin + load.duration
            seen += len(due)
            within = within + int(np.searchsorted(due, end)) if seen >= load.warmup else seen
        if within == count:
            return None
        if within <= load.warmup:
            behind = "behind the last one of the warm-up" if load.warmup else "behind the start"
            raise ScenarioError(
                f"no request arrives within the {load.duration / 1e9:g} s {behind}: nothing would be measured",
                where=f"{name}: load.duration",
                hint="Make it longer.",
            )
        return cls(load, rate_rps, count, seed, within)
