"""What one measured run says about the highest rate of its variant, and what several runs say together.

Two things make the p99 of a run uncertain: which requests happened to meet, and what the pipeline is. The first is
much the larger, and it is known: the twin is given the very arrivals and service times of the run, and tells what
p99 these had to give. The ratio of the measured to the replayed excess, the residual, is free of that luck. The run's
own long-run excess is then the twin's, with the run's service times and fresh arrivals, times the residual: a
control variate (Lavenberg and Welch, Management Science 27, 1981), here a ratio estimator. Where the twin explains
nothing the residual is as noisy as the measurement, and the interval as wide: the error is measured, not assumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.plan import Plan
from harness.records import Outcome, Phase, RunRecords
from harness.stats.intervals import inflation
from harness.stats.proportions import share
from harness.stats.slo import latencies
from harness.studies.capacity.curve import Crossing, Curve, LimitedBy, Size, crossing, curve, slope, smaller
from harness.studies.capacity.document import Purpose, RunVerdict
from harness.studies.capacity.slo import Floats, Limit, excess, interval
from harness.studies.predict.forecast import saturated
from harness.summary import Summary
from harness.twin.replay import replay
from harness.twin.service_profile import ServiceProfile, profile_of

DRIFT = 0.03
"""Standard deviation of a machine's speed from run to run, relative. docs/twin.md has what was seen."""
EARLIER = 4
"""How many earlier runs are taken to have shown DRIFT."""
FAR = 0.25
"""Added uncertainty of a run's highest rate, as a share of its distance from the rate of the run."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evidence:
    """A measured run. An excess is the worst statistic over its limit, see `slo`; lost requests are infinitely late.

    settings: the overrides of its variant.
    rate_rps: offered. seconds: how long requests were offered and served.
    measured: the excess of its requests. raw: the dependence-aware interval of that (None: too few requests).
    lost: share of the requests that was lost, as far as the twin cannot know.
    replayed: excess of the twin with the same arrivals and service times. correlation: of measured and replayed
    latencies.
    long_run, long_run_interval: the excess without the luck of the arrivals.
    highest_rps: the highest rate that keeps the limits, by this run alone; 0 where none does. log_error: standard error
    of its logarithm, as far as it comes from the length of the run.
    saturated_rps: throughput of the saturated pipeline, by the twin.
    """

    settings: tuple[str, ...]
    path: str
    purpose: Purpose
    rate_rps: float
    requests: int
    seconds: float
    measured: float
    raw: tuple[float, float] | None
    lost: float
    replayed: float
    correlation: float
    long_run: float
    long_run_interval: tuple[float, float]
    verdict: RunVerdict
    saturated: bool
    highest_rps: float
    saturated_rps: float
    limited_by: LimitedBy
    log_error: float
    summary: Summary
    profile: ServiceProfile

    @property
    def lost_requests(self) -> int:
        """How many of its requests were dropped or failed."""
        return self.summary.requests.dropped + self.summary.requests.failed

    @property
    def residual(self) -> float:
        """Measured over replayed; 1 where either is infinite."""
        return _ratio(self.measured, self.replayed)


def weigh(
    plan: Plan,
    records: RunRecords,
    summary: Summary,
    limits: Sequence[Limit],
    size: Size,
    *,
    settings: tuple[str, ...],
    path: str,
    purpose: Purpose,
) -> Evidence:
    """Make evidence of a run. Raises ValueError when no measured request completed."""
    profile = profile_of(plan, records)
    repeated = replay(plan, records)
    offered = records.select(records.column("phase") != Phase.SATURATION)
    measured = offered.column("phase") == Phase.MEASURED
    ours, twin = latencies(offered)[measured], latencies(repeated.records)[measured]
    failed = offered.outcome[measured] == Outcome.FAILED
    lost = max(float(failed.mean()), float(np.isinf(ours).mean() - np.isinf(twin).mean()))
    twin[failed] = np.inf  # as its service times, it is given which requests fail
    rng = np.random.default_rng(np.random.SeedSequence(size.seed, spawn_key=(3,)))
    found, replayed = excess(ours, limits), excess(twin, limits)
    residual_error = _residual_error(ours, twin, limits, size.resamples, rng)
    rate_rps = summary.load.nominal_rps
    assert rate_rps is not None  # of an open load

    own = curve(plan, profile, limits, size, _ratio(found, replayed), lost)
    crosses = crossing(own, rate_rps)
    service_error = _service_error(own, profile, len(ours), crosses, rng)
    steepness = slope(own, crosses.rate_rps) if crosses.rate_rps else 1.0
    log_error = math.hypot(service_error, residual_error / steepness)

    long_run = own.excess(rate_rps)
    error = math.hypot(service_error * slope(own, rate_rps), residual_error) if math.isfinite(long_run) else 0.0
    spread = math.exp(_z() * error)
    least, most = _of_lost(own, rate_rps, len(ours)) if lost else (long_run, long_run)
    ends = least / spread, most * spread
    raw, backlog_grew = interval(ours, limits), summary.saturated
    return Evidence(
        settings=settings,
        path=path,
        purpose=purpose,
        rate_rps=rate_rps,
        requests=len(ours),
        seconds=_span_s(records),
        measured=found,
        raw=None if backlog_grew else raw,
        lost=lost,
        replayed=replayed,
        correlation=repeated.correlation,
        long_run=long_run,
        long_run_interval=ends,
        verdict=_verdict(ends, raw, backlog_grew),
        saturated=backlog_grew,
        highest_rps=crosses.rate_rps,
        saturated_rps=own.saturated_rps,
        limited_by=crosses.limited_by,
        log_error=log_error,
        summary=summary,
        profile=profile,
    )


@dataclass(frozen=True)
class Estimate:
    """The highest rate with its 95 % interval, all 0 where no rate keeps the limits. half: half its width, relative."""

    rate_rps: float
    lo_rps: float
    hi_rps: float
    half: float


NONE = Estimate(0.0, 0.0, 0.0, 0.0)


def combine(evidence: Sequence[Evidence]) -> Estimate:
    """The highest rate by several runs of one variant; NONE when most of them say that no rate keeps the limits.

    A mean of logarithms, weighted by each run's variance: its own sampling error, the machine's drift, and the distance
    of its rate from the result. The interval is Student's with the Birge ratio, the dispersion of the runs over what
    these variances expect (Birge, Physical Review 40, 1932). The ratio is shrunk towards 1 as if EARLIER runs had shown
    it to be 1, so that two runs that agree by chance give no false certainty.
    """
    from scipy.special import stdtrit

    reached = [e for e in evidence if e.highest_rps > 0]
    if not reached or 2 * len(reached) < len(evidence):
        return NONE
    logs = np.log([e.highest_rps for e in reached])
    distance = np.log([e.rate_rps for e in reached]) - logs
    variance = DRIFT**2 + np.square([e.log_error for e in reached]) + np.square(FAR * distance)
    weight = 1 / variance
    middle = float(weight @ logs / weight.sum())
    freedom = EARLIER + len(reached) - 1
    birge = (EARLIER + float(weight @ (logs - middle) ** 2)) / freedom
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(birge / float(weight.sum()))
    return Estimate(math.exp(middle), math.exp(middle - half), math.exp(middle + half), math.expm1(half))


def lost_share(evidence: Sequence[Evidence]) -> float:
    """Share of the requests of several runs that was lost, as far as the twin cannot know."""
    return sum(e.lost * e.requests for e in evidence) / sum(e.requests for e in evidence)


def _verdict(ends: tuple[float, float], raw: tuple[float, float] | None, saturated: bool) -> RunVerdict:
    """Whether one run met the limits at its own rate. Where its latencies alone decide, they overrule the twin."""
    if raw is not None and not saturated:
        if raw[0] > 1:
            return "not met"
        if raw[1] <= 1:
            return "met"
    if ends[0] > 1:
        return "not met"
    return "met" if ends[1] <= 1 and not saturated else "undecided"


def _ratio(measured: float, replayed: float) -> float:
    return measured / replayed if math.isfinite(measured) and math.isfinite(replayed) else 1.0


def _residual_error(
    ours: Floats, twin: Floats, limits: Sequence[Limit], resamples: int, rng: np.random.Generator
) -> float:
    """Standard error of the logarithm of measured over replayed excess, by a moving block bootstrap of the pairs.

    The length of a block is the inflation of the median (how many requests carry the information of one independent
    one), from n^(1/3) to n/10.
    """
    n = len(ours)
    length = int(np.clip(inflation(ours, 0.5), round(n ** (1 / 3)), max(n // 10, 1)))
    starts = rng.integers(0, n - length + 1, (resamples, -(-n // length)))
    found = []
    for row in starts:
        index = (row[:, None] + np.arange(length)).reshape(-1)[:n]
        found.append(math.log(_ratio(excess(ours[index], limits), excess(twin[index], limits))))
    return float(np.std(found))


def _of_lost(own: Curve, rate_rps: float, requests: int) -> tuple[float, float]:
    """The excess at a rate for both ends of the interval on the share that was lost of so many requests."""
    found = share(round(own.lost * requests), requests)
    return replace(own, lost=found.lo).excess(rate_rps), replace(own, lost=found.hi).excess(rate_rps)


def _service_error(
    own: Curve, profile: ServiceProfile, requests: int, crosses: Crossing, rng: np.random.Generator
) -> float:
    """Standard error of the logarithm of the highest rate, as far as it comes from the few services that were measured.

    From bootstrap copies of the samples, drawn in blocks, each with a curve of its own. Where requests were lost, the
    share that is lost of so many `requests` is drawn anew, too.
    """
    if not crosses.rate_rps:
        return 0.0

    rough = replace(own, size=smaller(own.size, 5))
    middle = crossing(rough, crosses.rate_rps).rate_rps
    if not middle:
        return 0.0
    moved = []
    for _ in range(own.size.copies):
        copy = profile.resampled(rng)
        saturated_rps = saturated(own.pipeline, copy, own.size.seed).throughput_rps
        lost = float(rng.binomial(requests, own.lost)) / requests if own.lost else 0.0
        found = crossing(replace(rough, services=copy, saturated_rps=saturated_rps, lost=lost), middle).rate_rps
        moved.append(math.log(max(found, middle / 2) / middle))
    return float(np.std(moved))


def _span_s(records: RunRecords) -> float:
    """How long requests were offered and served, those that saturated the pipeline included, s."""
    return float(max(records.completed.max(), records.due.max()) - records.due.min()) / 1e9


def _z() -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + CONFIDENCE) / 2))
