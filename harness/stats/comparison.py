"""Is one side faster than the other? Two (or more) sides, measured in interleaved blocks, metric by metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.records import RunRecords

Verdict = Literal["faster", "slower", "no difference", "inconclusive", "declined"]
Ends = tuple[float, float]


@dataclass(frozen=True)
class Effect:
    """One metric of side b against side a. Figures and differences in `unit`; a ratio is b / a.

    metric: `e2e.p99`, `throughput`, `stages.NAME.service.mean`, ... (see `harness.stats.metrics`).
    a, b: pooled over all blocks; None where there is none.
    ratio_interval, difference_interval: simultaneous over all metrics of the comparison; None when declined.
    smallest_effect: the relative change (0.03 for 3 %) that this run would have found with a probability of 0.9.
    lengthen: by what factor the run has to be longer to find a change of the margin with that probability, and
        requests_needed: how many requests a side that is; None where nothing is missing.
    reason: why it is declined, else empty.
    """

    metric: str
    unit: Literal["ms", "/s"]
    higher_is_better: bool
    a: float | None
    b: float | None
    ratio_interval: Ends | None
    difference_interval: Ends | None
    verdict: Verdict
    smallest_effect: float | None
    lengthen: float | None
    requests_needed: int | None
    reason: str = ""

    @property
    def ratio(self) -> float | None:
        """b / a."""
        return None if self.a is None or self.b is None or not self.a else self.b / self.a

    @property
    def difference(self) -> float | None:
        """b - a, in the unit."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """Side b against side a. notes: sentences on what limits it, such as requests that failed."""

    effects: tuple[Effect, ...]
    blocks: int
    requests: tuple[int, int]  # completed, of a and of b
    confidence: float
    margin: float
    paired: bool
    notes: tuple[str, ...] = ()

    def effect(self, metric: str) -> Effect:
        """The effect on one metric. Raises KeyError."""
        found = next((e for e in self.effects if e.metric == metric), None)
        if found is None:
            raise KeyError(metric)
        return found


def compare_sides(
    a: Sequence[RunRecords],
    b: Sequence[RunRecords],
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    metrics: Sequence[str] | None = None,
    paired: bool = True,
) -> Comparison:
    """Compare side b with side a. Each is a sequence of RunRecords, one a block; the i-th of both belong together.

    Only measured requests count, so warm-up may stay in the records. metrics: names, by default
    `harness.stats.metrics.default_metrics`. paired: the i-th blocks had the same arrivals and were run close together.
    """
    return compare_many([a, b], margin=margin, confidence=confidence, metrics=metrics, paired=paired)[0]


def compare_many(
    sides: Sequence[Sequence[RunRecords]],
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    metrics: Sequence[str] | None = None,
    paired: bool = True,
) -> tuple[Comparison, ...]:
    """Compare every further side with the first, all metrics of all sides corrected together."""
    raise NotImplementedError
