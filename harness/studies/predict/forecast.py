"""What the twin predicts for a pipeline under a load: latencies with intervals from independent replications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.arrivals import due_times
from harness.records import Ints, Outcome, RunRecords, first_of_batches
from harness.scenario.model import Closed, OpenLoad
from harness.stats.quantiles import quantile
from harness.studies.predict.document import Forecast, StageForecast
from harness.twin import Demand, Pipeline, Station, compiled
from harness.twin.pipeline import START_NS
from harness.twin.services import Services

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
KEYS = ("mean", *LEVELS)
CONFIDENCE = 0.95
SATURATING_REQUESTS = 50_000
WARMUP_SHARE = 0.1
SETTLING = 400
"""Requests of a replication times (1 - utilisation)^2, at least: queues forget where they began at that pace."""
LONGEST = 300_000


@dataclass(frozen=True)
class Effort:
    """How much is simulated: replications of at least so many requests each, of which the first tenth is left out.

    Near full utilisation they get longer, see SETTLING.
    """

    requests: int = 20_000
    replications: int = 20
    bootstraps: int = 40
    seed: int = 1


@dataclass(frozen=True)
class Offered:
    """A load at a rate; the rate of a closed load is None."""

    load: OpenLoad | Closed
    rate_rps: float | None


@dataclass(frozen=True)
class Simulated:
    """A forecast with what each replication gave, for paired differences: shape (replications, len(KEYS)), ms."""

    forecast: Forecast
    replications_ms: NDArray[np.float64]


def forecast(
    pipeline: Pipeline,
    services: Services,
    offered: Offered,
    effort: Effort,
    resamples: Sequence[Services] = (),
    limit: Saturated | None = None,
) -> Simulated:
    """Simulate. resamples: bootstrap copies of the services, whose spread is the uncertainty of the samples.

    limit: the saturated pipeline, where that is known; else it is simulated too.
    """
    limit = saturated(pipeline, services, effort.seed) if limit is None else limit
    if not (pipeline.shed or offered.rate_rps is None or offered.rate_rps < limit.throughput_rps):
        return Simulated(_without_steady_state(offered.rate_rps, limit), np.empty((0, len(KEYS))))
    effort = replace(effort, requests=_long_enough(effort.requests, offered.rate_rps, limit.throughput_rps))
    seeds = np.random.SeedSequence(effort.seed).spawn(effort.replications)
    runs = [_replication(pipeline, services, offered, effort.requests, seed) for seed in seeds]
    figures = np.array([_latencies(run.latency_ns) for run in runs])
    pooled = _latencies(np.concatenate([run.latency_ns for run in runs]))
    found = Forecast(
        rate_rps=offered.rate_rps,
        saturated_rps=limit.throughput_rps,
        steady=True,
        growth_rps=0.0,
        throughput_rps=float(np.mean([run.throughput_rps for run in runs])),
        dropped=float(np.mean([run.dropped for run in runs])),
        stages={
            name: StageForecast(
                utilisation=float(np.mean([run.busy[name] for run in runs])),
                batch_size=float(np.mean([run.batch[name] for run in runs])),
            )
            for name in runs[0].busy
        },
        e2e_ms=dict(zip(KEYS, pooled.tolist(), strict=True)),
        interval_ms=dict(zip(KEYS, _replicated(pooled, figures), strict=True)),
        calibration_interval_ms=_resampled(pipeline, offered, effort, resamples, seeds, figures, pooled),
    )
    return Simulated(found, figures)


def _without_steady_state(rate_rps: float | None, limit: Saturated) -> Forecast:
    return Forecast(
        rate_rps=rate_rps,
        saturated_rps=limit.throughput_rps,
        steady=False,
        growth_rps=max(0.0, (rate_rps or 0.0) - limit.throughput_rps),
        throughput_rps=limit.throughput_rps,
        dropped=0.0,
        stages={
            name: StageForecast(utilisation=busy, batch_size=limit.batch_size[name])
            for name, busy in limit.utilisation.items()
        },
        e2e_ms=dict.fromkeys(KEYS),
        interval_ms={},
        calibration_interval_ms={},
    )


def _long_enough(requests: int, rate_rps: float | None, saturated_rps: float) -> int:
    spare = 1.0 - rate_rps / saturated_rps if rate_rps else 1.0
    return max(requests, min(LONGEST, round(SETTLING / spare**2))) if spare > 0 else requests


@dataclass(frozen=True)
class Saturated:
    """What a pipeline carries when requests always wait for it, and how busy its stages then are, in batches of what
    size."""

    throughput_rps: float
    utilisation: Mapping[str, float]
    batch_size: Mapping[str, float]


def saturated(pipeline: Pipeline, services: Services, seed: int) -> Saturated:
    """Simulate requests that are all due at the start; the second half of them counts."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    service = services.draw(pipeline, SATURATING_REQUESTS, rng)
    demand = Demand(service, np.full(SATURATING_REQUESTS, START_NS, np.int64))
    records = compiled.simulate(Pipeline(pipeline.stations), demand)
    run = _figures(records.select(np.argsort(records.completed) >= len(records) // 2), pipeline)
    return Saturated(run.throughput_rps, run.busy, run.batch)


def difference(base: Simulated, other: Simulated, key: str) -> tuple[float, float, float] | None:
    """Relative change of a latency and its 95 % interval; None without two steady states.

    Both simulated the same arrivals and draws, so that much of the noise cancels.
    """
    before, after = base.forecast.e2e_ms[key], other.forecast.e2e_ms[key]
    if before is None or after is None or len(base.replications_ms) != len(other.replications_ms):
        return None
    column = KEYS.index(key)
    logs = np.log(other.replications_ms[:, column] / base.replications_ms[:, column])
    middle = np.log(after / before)
    half = _half_width(logs)
    ends = np.expm1([middle, middle - half, middle + half])
    return float(ends[0]), float(ends[1]), float(ends[2])


@dataclass(frozen=True)
class _Run:
    latency_ns: Ints
    throughput_rps: float
    dropped: float
    busy: dict[str, float]
    batch: dict[str, float]


def _replication(
    pipeline: Pipeline, services: Services, offered: Offered, count: int, seed: np.random.SeedSequence
) -> _Run:
    service = services.draw(pipeline, count, _generator(seed, 2))
    if isinstance(offered.load, Closed):
        demand = Demand(service, concurrency=offered.load.concurrency)
    else:
        assert offered.rate_rps is not None
        due = due_times(offered.load, offered.rate_rps, count, _child(seed, 1))
        demand = Demand(tuple(s[: len(due)] for s in service), due + START_NS)
    records = compiled.simulate(pipeline, demand)
    return _figures(records.select(slice(int(len(records) * WARMUP_SHARE), None)), pipeline)


def _figures(settled: RunRecords, pipeline: Pipeline) -> _Run:
    done = settled.with_outcome(Outcome.COMPLETED)
    names = done.layout.names
    return _Run(
        latency_ns=done.completed - done.due,
        throughput_rps=(len(done) - 1) / (int(np.ptp(done.completed)) / 1e9),
        dropped=float((settled.outcome == Outcome.DROPPED).mean()),
        busy={name: _busy(done, i, pipeline.stations[i]) for i, name in enumerate(names)},
        batch={name: len(done) / len(_firsts(done, i, pipeline.stations[i])) for i, name in enumerate(names)},
    )


def _busy(done: RunRecords, index: int, station: Station) -> float:
    """Service time per worker over the time between the first and the last end of service, each batch once."""
    stage = done.stage(index)
    service = (stage.done - stage.started)[_firsts(done, index, station)]
    return min(1.0, float(service.sum()) / (station.workers * int(np.ptp(stage.done))))


def _firsts(done: RunRecords, index: int, station: Station) -> NDArray[np.intp]:
    """The first request of each batch."""
    if station.batch_max == 1:
        return np.arange(len(done))
    return first_of_batches(done.stage(index).batch)


def _latencies(values_ns: Ints) -> NDArray[np.float64]:
    return np.array([values_ns.mean(), *(quantile(values_ns, q) for q in LEVELS.values())]) / 1e6


def _replicated(pooled: NDArray[np.float64], figures: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Student's interval from independent replications, about the figure of all of them together."""
    half = [_half_width(figures[:, i]) for i in range(len(pooled))]
    return [(float(p - h), float(p + h)) for p, h in zip(pooled, half, strict=True)]


def _half_width(values: NDArray[np.float64]) -> float:
    from scipy.special import stdtrit

    if len(values) < 2:
        return float("nan")
    return float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(len(values)))


def _resampled(
    pipeline: Pipeline,
    offered: Offered,
    effort: Effort,
    resamples: Sequence[Services],
    seeds: Sequence[np.random.SeedSequence],
    figures: NDArray[np.float64],
    pooled: NDArray[np.float64],
) -> dict[str, tuple[float, float]]:
    """How far the figures move when the samples are drawn anew and everything else stays (percentile bootstrap).

    A copy of the samples that the load saturates has no upper end.
    """
    if not resamples:
        return {}
    moved = []
    for number, services in enumerate(resamples):
        at = number % len(seeds)
        if offered.rate_rps is not None and not pipeline.shed and _mean_load(pipeline, services, offered) >= 1:
            moved.append(np.full(len(KEYS), np.inf))
            continue
        run = _replication(pipeline, services, offered, effort.requests, seeds[at])
        moved.append(_latencies(run.latency_ns) / figures[at])
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = (np.percentile(np.array(moved), q, axis=0, method="nearest") * pooled for q in (tail, 100 - tail))
    return {key: (float(lo), float(hi)) for key, lo, hi in zip(KEYS, low, high, strict=True)}


def _mean_load(pipeline: Pipeline, services: Services, offered: Offered) -> float:
    """Offered load over the capacity of the busiest stage, from a few thousand draws."""
    drawn = services.draw(pipeline, 4000, np.random.default_rng(0))
    each = [s.mean(axis=0)[-1] / (st.batch_max * st.workers) for s, st in zip(drawn, pipeline.stations, strict=True)]
    return float(max(each)) * (offered.rate_rps or 0.0) / 1e9


def _child(seed: np.random.SeedSequence, purpose: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, purpose))


def _generator(seed: np.random.SeedSequence, purpose: int) -> np.random.Generator:
    return np.random.default_rng(_child(seed, purpose))
