"""The result of a search as `capacity.json` holds it; its screen, its plot and its page are made from it.

Rates are in requests a second. An excess is the worst limited statistic over its limit, at most 1 when all limits hold;
None where it is infinite, because too many requests were lost or there is no steady state.
"""

from __future__ import annotations

from typing import Annotated, Literal

from harness.documents import Document, Kind, Number, key
from harness.studies.capacity.curve import LimitedBy

Purpose = Literal["calibrate", "lower edge", "upper edge", "most hopeful"]
"""calibrate: to learn service times from. An edge: of the interval on the highest rate. most hopeful: where the SLO is
missed by least."""
Status = Literal["searching", "answered", "budget spent", "runs spent", "interrupted", "failed"]
"""budget spent: the time limit was reached."""
RunVerdict = Literal["met", "not met", "undecided"]
VariantVerdict = Literal["best", "no difference", "lower", "predicted lower", "not measured", "at no load", "failed"]
Interval = tuple[float, float]


class SloLimit(Document):
    """A limit on a statistic of the e2e latency."""

    limit: str
    """The statistic, such as p99."""
    limit_ms: float


class Bottleneck(Document):
    """The busiest stage of the run nearest the result, and what the latency of its slowest 1 % consists of."""

    stage: str
    at_rps: float
    """Rate of that run."""
    utilisation: float | None
    """Share of the time for which the stage's workers were busy."""
    tail_service: float
    """Share of the slowest requests' latency that was service, at all stages."""
    largest: str | None
    """The component with the largest share of that latency, such as inference.queue_wait."""
    largest_share: float | None


class MoreLoad(Document):
    """What 10 % more load would do, by the twin."""

    rate_rps: float
    excess: Number
    growth_rps: float
    """Requests by which the backlog would grow every second."""


class ScaledCurve(Document):
    """The twin's excess over the rate, scaled to the measured runs."""

    rate_rps: tuple[float, ...]
    excess: tuple[Number, ...]


class HighestRate(Document):
    """The variant that carries most, and the highest rate at which it keeps the SLO."""

    overrides: Annotated[tuple[str, ...], key("settings")]
    rate_rps: float
    interval_rps: Interval
    """95 %."""
    half_width: float
    """Half the width of that interval, relative."""
    met_at_rps: float | None
    """The highest rate of a run that met the SLO."""
    not_met_at_rps: float | None
    """The lowest rate of a run that did not."""
    saturated_rps: Annotated[float, key("throughput_rps")]
    """Throughput of the saturated pipeline, by the twin."""
    limited_by: LimitedBy
    """throughput: the SLO holds up to saturation."""
    bottleneck: Bottleneck
    next: MoreLoad | None
    curve: ScaledCurve | None


class MeasuredRun(Document):
    """One measured run."""

    path: str
    purpose: Purpose
    rate_rps: float
    """Offered rate."""
    requests: int
    lost: int
    """Requests that were dropped or failed; they count as infinitely late."""
    seconds: float
    """How long it was under load."""
    measured: Number
    """Excess of its requests."""
    why: str | None
    """Why that is infinite."""
    interval: tuple[Number, Number] | None
    """95 % interval of it from its latencies alone; None where there are too few requests."""
    replayed: Number
    """Excess of the twin with the same arrivals and service times."""
    correlation: Number
    """Of measured and replayed latencies."""
    long_run: Number
    """The excess without the luck of the arrivals."""
    long_run_interval: tuple[Number, Number]
    saturated: bool
    """Whether the backlog grew for as long as the load lasted."""
    verdict: RunVerdict
    highest_rps: Annotated[float, key("capacity_rps")]
    """The highest rate that keeps the SLO, by this run alone; 0 where none does."""
    log_error: Number
    """Standard error of the logarithm of that rate, as far as it comes from the length of the run."""


class VariantCapacity(Document):
    """What is known of one variant."""

    name: str
    overrides: Annotated[tuple[str, ...], key("settings")]
    predicted_rps: float | None
    """Its highest rate by the twin; None before service times were measured."""
    measured_rps: float | None
    """Its highest rate by its runs; None without any."""
    interval_rps: Interval | None
    """95 % interval of that."""
    verdict: VariantVerdict
    failed: str | None
    """Why it could not be measured."""
    runs: tuple[MeasuredRun, ...]


class CapacityResult(Document):
    """A search for the highest load that keeps an SLO, as far as it has come."""

    schema_version: int = 1
    kind: Literal["capacity"] = "capacity"
    scenario: str
    slo: tuple[SloLimit, ...]
    within: float
    """Half the width of the interval that was asked for, relative."""
    status: Status
    attainable: bool | None
    """Whether some load keeps the SLO; None where that is not known yet."""
    highest: Annotated[HighestRate | None, key("answer")]
    """None before a run of a variant says so, and where no load keeps the SLO."""
    variants: Annotated[tuple[VariantCapacity, ...], key("configurations")]
    measured_s: float
    """How long the pipeline was under load, all runs together."""
    elapsed_s: float
    """How long the search took."""
    findings: Annotated[tuple[str, ...], key("sentences")]
    """The result in words."""
    saved: str | None = None
    """Its own file."""

    @property
    def slo_text(self) -> str:
        """The limits as people write them."""
        return " and ".join(f"{x.limit} <= {x.limit_ms:,.6g} ms" for x in self.slo)

    @property
    def shown(self) -> VariantCapacity | None:
        """The variant whose runs are shown: the best, else the one with most runs; None where nothing was measured."""
        best = next((variant for variant in self.variants if variant.verdict == "best"), None)
        measured = (variant for variant in self.variants if variant.runs)
        return best or max(measured, key=lambda variant: len(variant.runs), default=None)


CAPACITY = Kind("a saved search for the capacity", CapacityResult)
