"""The summary of a run, figure by figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict

from harness.documents import DATACLASS, Document, Kind, Number, key
from harness.summary.distribution import Distribution, Latency
from harness.summary.facts import RunFacts

Level = Literal["ok", "warning", "invalid"]
Verdict = Literal["steady", "drifting", "saturated"]


class RequestCounts(Document):
    """How many requests there were: issued = completed + failed + dropped."""

    issued: int
    """Measured requests that were offered to the pipeline."""
    completed: int
    """Those that came to their end."""
    failed: int
    """Those that failed, aborted ones among them."""
    dropped: int
    """Those that were due while the first channel was full (on_full: shed)."""
    aborted: int = 0
    """Those that had not ended when the run did."""
    warmup: int
    """Requests before the measured ones, under the same load."""
    calibration: int = 0
    """Requests of the saturated calibration before the run."""


class BatchSize(Document):
    """How many requests were served together."""

    mean: Number
    """The mean over batches."""
    max: int | None
    """The largest batch."""


class StageSummary(Document):
    """A stage: how busy it was, and the components of the latency that belong to it."""

    workers: int
    """How many workers it has."""
    capacity: int
    """How many requests may wait for it or be in its service (Kendall's K)."""
    utilisation: Number
    """Share of the time between the first and the last arrival in which its workers were busy; a batch counts once."""
    service: Annotated[Distribution, key("service_ms")]
    """From started to done."""
    batch_wait: Annotated[Distribution, key("batch_wait_ms")]
    """From taken to started: a worker held the request while a batch filled."""
    queue_wait: Annotated[Distribution, key("queue_wait_ms")]
    """From ready to taken: the request waited for a worker."""
    blocked: Annotated[Distribution, key("blocked_ms")]
    """From offered to accepted: the upstream side waited for a free slot."""
    batch_size: BatchSize
    """How many requests were served together."""
    parts: Mapping[str, Distribution]
    """Parts of the service that the stage measures itself, such as decode."""


class Tail(Document):
    """Where the time of the slowest 1 % of the requests went."""

    threshold_ms: Number = None
    """The latency from which on a request belongs to them, ms."""
    count: int = 0
    """How many these are."""
    shares: Mapping[str, float]
    """The share that each component has of their latency; `stage.component`, producer and residual."""
    median_shares: Mapping[str, float]
    """The same of the requests between the quantiles 0.4 and 0.6."""
    clusters: int = 0
    """In how many groups of requests that overlap in time they come."""
    share_ranges: Mapping[str, tuple[float, float]] | None = None
    """The smallest and the largest share that is left when any one cluster is left out; no confidence interval."""


@dataclass(frozen=True)
class Backlog:
    """How the number of requests in the system grew over the arrival window."""

    __pydantic_config__: ClassVar[ConfigDict] = DATACLASS

    growth_rps: float
    """Mean growth, requests/s; negative where the backlog shrinks."""
    t: Number
    """Student's t against no growth."""
    p_value: float
    """One-sided, against no growth."""


@dataclass(frozen=True)
class Trend:
    """A linear trend of a series."""

    __pydantic_config__: ClassVar[ConfigDict] = DATACLASS

    slope: float
    """Change from one value to the next, in the unit of the values (of latencies: ns a request)."""
    t: Number
    """Student's t against no trend; null where the series is exactly linear."""
    p_value: float
    """Two-sided, against no trend."""


@dataclass(frozen=True)
class SteadyState:
    """Whether the run had a steady state, and what that rests on."""

    __pydantic_config__: ClassVar[ConfigDict] = DATACLASS

    verdict: Verdict
    """steady; drifting: the latencies have a trend; saturated: the backlog grew with the run."""
    offered_rps: float
    """Arrivals per second over the arrival window."""
    completed_rps: float
    """Completions per second over the same window."""
    growth_rps: float
    """How fast the backlog grew, requests/s."""
    capacity_rps: Number
    """What the pipeline can carry, requests/s; known only where the load exceeded it."""
    backlog: Backlog
    """The test for growth."""
    trend: Trend
    """The test for a trend of the latencies."""


class SloResult(Document):
    """A limit on e2e latency, and whether it was met. Lost requests count as infinitely late."""

    limit: str
    """The statistic that it limits: a key of a distribution, such as p99."""
    limit_ms: float
    """The limit, ms."""
    measured_ms: Number
    """The statistic over all issued requests, ms; null where there is no figure: `why` says so."""
    infinite: bool = False
    """Whether the statistic falls among lost requests."""
    met: bool
    """Whether the limit was met."""
    why: str | None = None
    """What is behind it: requests that were lost, or no steady state."""


class Rung(Document):
    """What one model makes of the run."""

    model: str
    """Its name."""
    kind: str
    """exact, numerical, approximation or simulation."""
    e2e: Annotated[Mapping[str, float] | None, key("e2e_ms")]
    """p50, p90 and p99 of the e2e latency, ms; null where it does not apply: `note` says why."""
    p99_bias: Number = None
    """How far off the approximation is in itself, relative, where that is known and matters."""
    note: str | None = None
    """Why it does not apply, or what to know about it."""
    correlation: Number = None
    """Between replayed and measured latencies of the same requests."""
    error: Mapping[str, Number]
    """Each of its figures against the measured one, relative."""


class ModelLadder(Document):
    """The run held against queueing theory and the twin; empty where it has no steady state."""

    rungs: tuple[Rung, ...] = ()
    """The models, each of which knows more about the run than the one before."""
    meaning: tuple[str, ...] = ()
    """What their differences say, in sentences."""
    error: str | None = None
    """Why the models could not be computed."""


@dataclass(frozen=True)
class Check:
    """A verdict on the run's validity, with the figures that it rests on."""

    __pydantic_config__: ClassVar[ConfigDict] = DATACLASS

    name: str
    """What was checked."""
    level: Level
    """ok, warning or invalid."""
    message: str
    """What was found."""


class Summary(RunFacts):
    """The summary of a run: `summary.json`."""

    requests: RequestCounts
    """How many requests there were."""
    throughput_rps: Number
    """Completions per second, from the first due time to the last completion."""
    offered_rps: Number
    """Arrivals per second; null of a closed load."""
    e2e: Annotated[Latency, key("e2e_ms")]
    """e2e latency, from due to completed."""
    response: Annotated[Latency, key("response_ms")]
    """Response time, from issued to completed."""
    producer_lateness: Annotated[Distribution, key("producer_lateness_ms")]
    """issued - due as it stands."""
    producer_own_lateness: Annotated[Distribution | None, key("producer_own_lateness_ms")] = None
    """What of it the producer itself caused: the component of the latency budget."""
    stages: Mapping[str, StageSummary]
    """The stages, in order, by name."""
    bottleneck: str
    """The busiest stage."""
    residual: Annotated[Distribution, key("residual_ms")]
    """Time between stamps that belongs to no component: the tool's own hand-over."""
    tail: Tail
    """Where the time of the slowest 1 % went."""
    steady_state: SteadyState | None
    """Whether there was a steady state; null of a closed load."""
    slo: tuple[SloResult, ...]
    """The limits of the scenario, judged."""
    model: ModelLadder
    """What queueing theory and the twin make of the run."""
    checks: tuple[Check, ...]
    """May the figures be believed?"""
    validity: Level
    """The worst level of the checks."""
    failures: Mapping[str, int]
    """How often each reason made a request fail."""
    findings: Annotated[tuple[str, ...], key("reading")]
    """What the figures say, in sentences, the most important first."""
    saved: str | None = None
    """Where the run is saved; in no file, told by the commands."""

    def as_json(self) -> dict[str, Any]:
        """Plain data under the keys of the file; a key that was not given is not there."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    @property
    def saturated(self) -> bool:
        """Whether the load was above what the pipeline can carry: then there are no quantiles."""
        return self.steady_state is not None and self.steady_state.verdict == "saturated"


SUMMARY = Kind("a saved run", Summary)
