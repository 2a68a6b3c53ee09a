"""A sweep as `harness sweep --json` tells it; its screen, its plots and its page are made from it.

Rates are in requests a second, latencies in ms, intervals hold with 95 % confidence. None stands for a figure that does
not exist: of a variant that has not run, and the latency of a saturated one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from harness.documents import Document, key
from harness.studies.predict.document import Forecast, Interval
from harness.studies.sweep.trials import Value

Row = Mapping[str, Value | bool | None]
"""A line of the tidy table, by name of the column."""
Verdict = Literal["steady", "drifting", "saturated", "closed", "unknown", "failed", "interrupted", "not run"]
Measure = Literal["p50", "p90", "p99", "throughput"]
"""What is drawn over an axis."""


class SweptAxis(Document):
    """A key that is varied, and its values: numbers where all of them are numbers, else texts."""

    key: str
    values: tuple[Value, ...]


class Trials(Document):
    """How many runs were asked for, and how those ended that have run."""

    wanted: int
    completed: int
    failed: int
    interrupted: int


class VariantLatency(Document):
    """Quantiles of the e2e latency of all repeats together, ms.

    The intervals are from the `requests`, and then allow for dependence between them and for what differs from repeat
    to repeat; or, where these are too few, from the `repeats`: on the quantile of a run of this length.
    """

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p50_interval: Annotated[Interval | None, key("p50_ci")] = None
    p99_interval: Annotated[Interval | None, key("p99_ci")] = None
    p50_interval_from: Annotated[Literal["requests", "repeats"] | None, key("p50_ci_from")] = None
    p99_interval_from: Annotated[Literal["requests", "repeats"] | None, key("p99_ci_from")] = None


class VariantResult(Document):
    """What the completed runs of one variant come to."""

    number: Annotated[int, key("cell")]
    """From 1; the last axis changes fastest."""
    values: Mapping[str, Value]
    """By key of the axis."""
    completed_runs: int
    reason: str | None
    """Why a run of it failed."""
    verdict: Verdict
    """That of the worst run, or why there is none."""
    offered_rps: float | None = None
    """Mean offered rate; None for a closed load."""
    throughput_rps: float | None = None
    """Completed requests a second."""
    throughput_interval: Annotated[Interval | None, key("throughput_ci")] = None
    """For a closed or a saturated load."""
    e2e_ms: VariantLatency = VariantLatency()
    busiest: str | None = None
    """The stage with the highest utilisation in the first run."""
    utilisation: float | None = None
    """Share of the time for which the workers of that stage were busy."""
    batch_size: float | None = None
    """Mean number of requests in its batches."""
    dropped: float | None = None
    """Share of the requests that were dropped."""
    slo_met: bool | None = None
    """Whether every run met every limit of the scenario; None where it has none."""
    validity: str | None = None
    """That of the worst run: ok, warning or invalid."""

    def figure(self, measure: Measure) -> float | None:
        """The throughput, or a quantile of the e2e latency."""
        if measure == "throughput":
            return self.throughput_rps
        return {"p50": self.e2e_ms.p50, "p90": self.e2e_ms.p90, "p99": self.e2e_ms.p99}[measure]

    def interval(self, measure: Measure) -> Interval | None:
        """The interval of that figure; there is none on p90."""
        intervals = {"throughput": self.throughput_interval, "p50": self.e2e_ms.p50_interval}
        return self.e2e_ms.p99_interval if measure == "p99" else intervals.get(measure)


class TwinScore(Document):
    """How far the twin's p99 is off in the variants that it did not learn from."""

    variants: Annotated[int, key("cells")]
    """How many there are that have a measured and a predicted p99."""
    median_apart: float | None
    """Median of the relative errors."""
    intervals: int
    """How many of them have a measured interval on p99 that holds for runs of any length."""
    within: int
    """In how many of those the prediction lies inside it."""


class TwinResult(Document):
    """The same variants in the twin."""

    forecasts: Annotated[Mapping[int, Forecast], key("by_cell")]
    """By number of the variant."""
    learnt_from: Annotated[tuple[int, ...], key("calibrated_on")]
    """Numbers of the variants whose service times it was given."""
    score: TwinScore
    warnings: tuple[str, ...]


class SweepResult(Document):
    """A sweep as far as it has come."""

    kind: Literal["sweep"] = "sweep"
    folder: str
    scenario: str
    overrides: Annotated[tuple[str, ...], key("settings")]
    """What is set in every variant."""
    axes: Annotated[tuple[SweptAxis, ...], key("grid")]
    repeats: int
    seed: int
    """It decides the order of the runs."""
    trials: Trials
    variants: Annotated[tuple[VariantResult, ...], key("cells")]
    front: tuple[int, ...]
    """Numbers of the variants on the Pareto front of throughput and p99."""
    twin: TwinResult | None
    """None unless it was asked for."""
    rows: tuple[Row, ...]
    """A row for each run, by variant and repeat, all with the same columns."""
    notes: tuple[str, ...]

    @property
    def keys(self) -> Sequence[str]:
        """The varied keys."""
        return [axis.key for axis in self.axes]

    def forecast(self, variant: VariantResult) -> Forecast | None:
        """What the twin predicts for a variant, if it was asked and could."""
        return None if self.twin is None else self.twin.forecasts.get(variant.number)
