"""The twin's excess over the rate, and the highest rate at which it is at most 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.arrivals import due_times
from harness.plan import Plan
from harness.scenario.model import Closed, OpenLoad
from harness.stats.slo import latencies
from harness.studies.capacity.slo import Limit, excess
from harness.studies.predict.forecast import saturated
from harness.twin import Demand, Pipeline, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.service_profile import ServiceProfile
from harness.twin.services import Services

SHARES = (0.97, 0.93, 0.88, 0.82, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.07, 0.02)
"""Shares of the saturated rate, tried from above: the excess may fall with the load at first, while batches wait to
fill. Closer to 1 latencies depend on every percent of the service times, and the limit is the throughput."""
BEYOND = (10.0, 5.0, 3.0, 2.0, 1.6, 1.4, 1.25, 1.15, 1.08, 1.02)
"""The same for pipelines that shed, which have a steady state at every load."""
WARMUP_SHARE = 0.1
RESOLUTION = 2e-3

LimitedBy = Literal["slo", "throughput", "service"]


@dataclass(frozen=True)
class Size:
    """How much is simulated: for each point of a curve `replications` of so many requests, less the first tenth.

    copies: bootstrap copies of the service samples. resamples: of the pairs of measured and replayed latencies.
    """

    requests: int = 25_000
    replications: int = 12
    copies: int = 12
    resamples: int = 200
    seed: int = 1


@dataclass(frozen=True)
class Curve:
    """Excess of the twin over the rate; every rate meets the same draws of arrivals and service times.

    saturated_rps: throughput of the saturated pipeline. factor: measured latencies over those of the twin. lost: share
    of the requests that is lost at any rate, as far as the twin cannot know; they are infinitely late.
    """

    pipeline: Pipeline
    services: Services
    load: OpenLoad
    limits: Sequence[Limit]
    size: Size
    saturated_rps: float
    factor: float = 1.0
    lost: float = 0.0

    def excess(self, rate_rps: float) -> float:
        """Infinite without a steady state."""
        if not self.pipeline.shed and rate_rps >= self.saturated_rps:
            return math.inf
        parts = []
        for seed in np.random.SeedSequence(self.size.seed).spawn(self.size.replications):
            arrivals, service = seed.spawn(2)
            due = due_times(self.load, rate_rps, self.size.requests, arrivals) + START_NS
            drawn = self.services.draw(self.pipeline, len(due), np.random.default_rng(service))
            latency = latencies(compiled.simulate(self.pipeline, Demand(drawn, due)))
            parts.append(latency[int(len(latency) * WARMUP_SHARE) :])
        count = sum(map(len, parts))
        parts.append(np.full(round(count * self.lost / (1.0 - self.lost)), np.inf))
        return self.factor * excess(np.concatenate(parts), self.limits)


def curve(
    plan: Plan, profile: ServiceProfile, limits: Sequence[Limit], size: Size, factor: float = 1.0, lost: float = 0.0
) -> Curve:
    """The curve of a Plan with measured service times of all its stages. factor, lost: see `Curve`."""
    assert not isinstance(plan.load, Closed)
    pipeline = of_plan(plan, profile.overheads)
    saturated_rps = saturated(pipeline, profile, size.seed).throughput_rps
    return Curve(pipeline, profile, plan.load, limits, size, saturated_rps, factor, lost)


@dataclass(frozen=True)
class Crossing:
    """The highest rate that keeps the limits; 0 where none does: `least` is then the smallest excess, at `least_rps`.

    limited_by: throughput where the limits hold up to saturation, service where they hold at no rate.
    """

    rate_rps: float
    limited_by: LimitedBy
    least: float
    least_rps: float


def crossing(given: Curve, near_rps: float | None = None) -> Crossing:
    """Find the crossing: near a rate, if one is given and it is there; else from above, first roughly."""
    found = None if near_rps is None else _near(given, near_rps)
    if found is None:
        rough = _from_above(replace(given, size=smaller(given.size, 5)))
        found = (rough.limited_by == "slo" and _near(given, rough.rate_rps)) or rough
    return found


def _near(given: Curve, near_rps: float) -> Crossing | None:
    """The crossing within 30 % of a rate, if there is one."""
    low, high = near_rps / 1.3, near_rps * 1.3
    if not given.pipeline.shed:
        high = min(high, SHARES[0] * given.saturated_rps)
    if low < high and given.excess(low) <= 1.0 < given.excess(high):
        return Crossing(_between(given, low, high), "slo", 1.0, low)
    return None


def _from_above(given: Curve) -> Crossing:
    shares = (*BEYOND, *SHARES) if given.pipeline.shed else SHARES
    seen: list[tuple[float, float]] = []
    for share in shares:
        rate_rps = share * given.saturated_rps
        found = given.excess(rate_rps)
        if found <= 1.0:
            if not seen:
                return Crossing(rate_rps, "throughput", found, rate_rps)
            return Crossing(_between(given, rate_rps, seen[-1][1]), "slo", 1.0, rate_rps)
        seen.append((found, rate_rps))
    least, least_rps = min(seen, key=lambda point: point[0])  # the highest rate, where all are alike
    return Crossing(0.0, "service", least, least_rps)


def slope(given: Curve, rate_rps: float) -> float:
    """Relative change of the excess for a relative change of the rate, below it."""
    low, here = given.excess(rate_rps / 1.05), given.excess(rate_rps)
    if not (math.isfinite(here) and math.isfinite(low)):
        return math.inf
    return max(math.log(here / low) / math.log(1.05), 0.1)


def smaller(size: Size, part: int) -> Size:
    """Fewer replications."""
    return replace(size, replications=max(2, size.replications // part))


def _between(given: Curve, low_rps: float, high_rps: float) -> float:
    """Where the excess is 1, between a rate that keeps the limits and one that does not."""
    from scipy.optimize import brentq

    def log_excess(log_rate: float) -> float:
        return float(np.clip(np.log(given.excess(math.exp(log_rate))), -5.0, 5.0))

    return math.exp(brentq(log_excess, math.log(low_rps), math.log(high_rps), xtol=RESOLUTION))
