"""One side of a comparison: its blocks of completed requests, and what keeps a metric from being compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.records import Outcome, Phase, RunRecords
from harness.stats.blocks import Contrast, Floats, Mean, Quantile, Sorted, fewest_blocks
from harness.stats.intervals import dependent
from harness.stats.metrics import THROUGHPUT, Metric, span_s, values_ms
from harness.stats.quantiles import requests_needed
from harness.stats.steady import FEWEST_REQUESTS, steady_state

_LOST = {Outcome.FAILED: "failed", Outcome.ABORTED: "never ended", Outcome.DROPPED: "were dropped"}


@dataclass(frozen=True)
class Side:
    """The measured, completed requests of each block. notes: what share of the others there was, and why."""

    name: str
    blocks: tuple[RunRecords, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, given: Sequence[RunRecords], name: str) -> Side:
        """Of RunRecords, one a block, which may hold more than measured and completed requests."""
        measured = [_only(records, records.column("phase") == Phase.MEASURED) for records in given]
        outcomes = np.concatenate([records.outcome for records in measured])
        shares = {way: float((outcomes == way).mean()) if len(outcomes) else 0.0 for way in _LOST}
        notes = [
            f"{share:.1%} of the requests of {name} {_LOST[way]}: its figures are those of the others"
            for way, share in shares.items()
            if share
        ]
        completed = [_only(records, records.outcome == Outcome.COMPLETED) for records in measured]
        return cls(name, tuple(completed), tuple(notes))

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages."""
        return self.blocks[0].layout.names if self.blocks else ()

    @property
    def requests(self) -> int:
        """Completed requests."""
        return sum(map(len, self.blocks))

    @cached_property
    def saturated(self) -> bool:
        """Whether the backlog grew in most of the blocks."""
        judged = [b for b in self.blocks if len(b) >= FEWEST_REQUESTS and np.ptp(b.due)]
        return 2 * sum(steady_state(b.due, b.completed).verdict == "saturated" for b in judged) > len(self.blocks)

    def values(self, metric: Metric) -> Sorted:
        """The values behind a latency or a service, ms."""
        if metric.source not in self._values:
            self._values[metric.source] = Sorted(tuple(np.sort(values_ms(metric, block)) for block in self.blocks))
        return self._values[metric.source]

    @cached_property
    def _values(self) -> dict[str, Sorted]:
        return {}


@dataclass(frozen=True)
class Obstacle:
    """Why a metric cannot be compared. lengthen: how much longer the run has to be; None where that does not help."""

    reason: str
    lengthen: float | None = None


def obstacle(metric: Metric, a: Side, b: Side, confidence: float) -> Obstacle | None:
    """What keeps a metric from being compared, known before any difference is."""
    there, fewest = min(len(a.blocks), len(b.blocks)), fewest_blocks(confidence)
    if there < fewest:
        return Obstacle(f"{there} blocks; at least {fewest} are needed", fewest / there if there else None)
    for side in (a, b):
        if not all(map(len, side.blocks)):
            return Obstacle(f"a block of {side.name} completed nothing")
    for side in (a, b):
        if metric.of_e2e and side.saturated:
            return Obstacle(f"{side.name} is saturated: its latency measures the length of the run")
    if metric.level is not None:
        values = min(len(side.values(metric).every) for side in (a, b))
        needed = requests_needed(metric.level)
        if values < needed:
            return Obstacle(f"{values:,} values a side; {needed:,} are needed", needed / values)
    return None


def contrast(metric: Metric, a: Side, b: Side) -> Contrast:
    """The figure of a metric on two sides."""
    if metric.level is not None:
        return Quantile(a.values(metric), b.values(metric), metric.level)
    (of_a, a_weights), (of_b, b_weights) = (_means(metric, side) for side in (a, b))
    return Mean(of_a, of_b, a_weights, b_weights)


def own_interval(metric: Metric, side: Side, confidence: float) -> tuple[float, float] | None:
    """The interval for the figure of a side alone; None where it declines.

    Of a quantile the dependence-aware one of all requests in order: so few blocks do not tell how skewed their counts
    are, which cancels in a difference and not here. Of a mean Student's, of the blocks.
    """
    from scipy.special import stdtrit

    if metric.level is not None:
        found = dependent(np.concatenate([values_ms(metric, b) for b in side.blocks]), metric.level, confidence)
        return None if found.lo is None or found.hi is None else (found.lo, found.hi)
    of_blocks, weights = _means(metric, side)
    figure = float(of_blocks @ weights / weights.sum())
    shares = weights / weights.mean()
    error = float(np.std((of_blocks - figure) * shares, ddof=1)) / len(weights) ** 0.5
    width = error * float(stdtrit(len(weights) - 1, (1.0 + confidence) / 2.0))
    return figure - width, figure + width


def _means(metric: Metric, side: Side) -> tuple[Floats, Floats]:
    """Of each block, the mean and the number of its values, or the rate and the time."""
    if metric.source == THROUGHPUT:
        spans = np.array([span_s(block) for block in side.blocks])
        return np.array([len(block) for block in side.blocks]) / spans, spans
    values = side.values(metric).blocks
    return np.array([v.mean() for v in values]), np.array([len(v) for v in values], dtype=np.float64)


def _only(records: RunRecords, mask: NDArray[np.bool_]) -> RunRecords:
    return records if mask.all() else records.select(mask)
