"""What `harness simulate` and `harness crosscheck` tell as JSON, and what their screens and plots are made from.

Latencies are in ms, by statistic: mean, p50, p90, p99. None stands for one that does not exist: without a steady state
there is no latency, and some closed forms give a mean alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from harness.documents import Document, key
from harness.studies.predict.stage import OneStage
from harness.summary import Rung

Latencies = Mapping[str, float | None]
"""Statistic -> ms."""
Interval = tuple[float, float]
"""Lower and upper end of a 95 % interval."""


class StageForecast(Document):
    """The simulated figures of one stage."""

    utilisation: float
    """Share of the time for which its workers are busy, 0 to 1."""
    batch_size: float
    """Mean number of requests a batch."""


class Forecast(Document):
    """What the twin predicts for a pipeline under a load."""

    rate_rps: float | None
    """Offered rate; None for a closed load."""
    saturated_rps: Annotated[float, key("capacity_rps")]
    """Throughput of the pipeline when it is saturated."""
    steady: bool
    """Whether there is a steady state: the offered rate is below the saturated one, or the pipeline sheds."""
    growth_rps: float
    """Requests by which the backlog grows every second; 0 in a steady state."""
    throughput_rps: float | None
    """Completed requests a second."""
    dropped: float
    """Share of the requests that is dropped, 0 to 1."""
    stages: Mapping[str, StageForecast]
    """By name of the stage."""
    e2e_ms: Latencies
    """e2e latency of all replications together."""
    interval_ms: Mapping[str, Interval]
    """By statistic, from independent replications (Student); empty without a steady state."""
    calibration_interval_ms: Mapping[str, Interval]
    """By statistic: how far it moves when the measured service times are drawn anew; empty where none were measured."""

    @property
    def busiest(self) -> str:
        """The stage with the highest utilisation."""
        return max(self.stages, key=lambda name: self.stages[name].utilisation)


class ClosedForm(Document):
    """What a queueing formula gives."""

    model: str
    """Its name, such as M/M/1."""
    kind: str
    """exact, numerical, approximation, or upper bound."""
    e2e_ms: Latencies | None
    """None without a steady state."""
    loss: float = 0.0
    """Share of the requests that is refused, 0 to 1."""
    text: str | None = None
    """Why there is no steady state."""


class OnePoint(Document):
    """One stage at one rate."""

    rate_rps: float
    theory: ClosedForm | None
    """None where there is no closed form."""
    simulated: Forecast


class CurvePoint(OnePoint):
    """One stage at one utilisation."""

    utilisation: float


class OneStageResult(OnePoint):
    """`harness simulate --service ... --rate ...`: one stage by theory and by simulation."""

    kind: Literal["quick"] = "quick"
    utilisation: float
    saturated_rps: Annotated[float, key("capacity_rps")]
    """The highest rate that the stage carries."""
    given: OneStage
    curve: tuple[CurvePoint, ...]
    """The same stage over its utilisation."""
    warnings: tuple[str, ...]


class MeasuredRun(Document):
    """What the run itself measured whose service times the twin was given."""

    e2e_ms: Latencies
    p99_interval: Annotated[tuple[float | None, float | None], key("p99_ci")]
    """95 % interval on p99, ms; None where there were too few requests for it."""


class VariantForecast(Forecast):
    """The prediction for one combination of the values that `--vary` gives."""

    value: str
    """The values, in the order of the keys."""


class VariedForecasts(Document):
    """Predictions for every combination of the values of some keys."""

    key: str
    """The varied keys."""
    rows: tuple[VariantForecast, ...]


class WhatIfResult(Document):
    """`harness simulate SCENARIO`: the scenario as it stands, with changes, and for some values of a key."""

    kind: Literal["scenario"] = "scenario"
    scenario: str
    run: str | None
    """Folder of the run whose service times were taken; None where the scenario says what its stages take."""
    measured: MeasuredRun | None
    """None unless the baseline is the pipeline and the rate of that run."""
    baseline: Forecast
    overrides: Annotated[tuple[str, ...], key("changes")]
    what_if: Forecast | None = None
    """With the overrides; None without any."""
    difference: Mapping[str, tuple[float, float, float] | None] | None = None
    """By statistic: relative change and its interval. Both pipelines met the same arrivals and draws."""
    varied: Annotated[VariedForecasts | None, key("sweep")] = None
    warnings: tuple[str, ...]


class RunLadder(Document):
    """`harness crosscheck RUN`: a run beside models, each of which knows more about it than the one before."""

    kind: Literal["ladder"] = "ladder"
    run: str
    """The run's folder."""
    measured_ms: Mapping[str, float] | None
    """p50, p90 and p99 as measured; None where nothing completed."""
    rungs: tuple[Rung, ...]
    """The models, in this order."""
    meaning: tuple[str, ...]
    """What their differences say, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """Plain data, a rung without the keys that do not concern it."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class HeldOutPrediction(Document):
    """What a model predicts for runs that it did not learn from; None where it does not apply."""

    e2e_ms: Mapping[str, float] | None
    """By quantile."""
    error: Mapping[str, float] | None
    """Relative error of each."""


class HeldOutTwin(HeldOutPrediction):
    """What the twin predicts for them."""

    e2e_ms: Mapping[str, float]
    error: Mapping[str, float]
    range_ms: Mapping[str, Interval]
    """Range that holds 95 % of the twin's replications: such runs differ as much by chance."""


class HeldOutRow(Document):
    """Runs of one scenario, which differ in their seeds at most; their requests are taken together."""

    runs: tuple[str, ...]
    """Their folders."""
    requests: int
    rate_rps: float
    """Offered rate."""
    utilisation: float
    """Of the bottleneck."""
    measured_ms: Mapping[str, float]
    """p50 and p99."""
    p99_interval: Annotated[tuple[float | None, float | None], key("p99_ci")]
    """95 % interval on p99, ms; None where there were too few requests for it."""
    twin: HeldOutTwin
    service_error: float
    """Relative error of the mean service time of the bottleneck: where it is large, no model of the queues can be
    right."""
    constant_service: HeldOutPrediction
    """The twin with service times that do not grow with the load."""
    mm1: HeldOutPrediction
    """M/M/c at the bottleneck; None without a steady state."""


class HeldOutResult(Document):
    """`harness crosscheck --calibrate RUN --score RUN`: predictions beside runs that the twin did not learn from."""

    kind: Literal["held out"] = "held out"
    learnt_from: Annotated[tuple[str, ...], key("calibrated_on")]
    """Folders of the runs whose service times it was given."""
    rows: tuple[HeldOutRow, ...]
