"""A run held against theory and the twin: a ladder of models, each of which knows more about the run than the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from harness import theory
from harness.plan import Plan, StagePlan, resolve
from harness.records import Ints, Outcome, Phase, RunRecords, batches
from harness.scenario import load
from harness.scenario.model import Closed
from harness.stats.quantiles import rank
from harness.store import SavedRun
from harness.studies.predict.document import RunLadder
from harness.summary import Rung
from harness.theory import NoSteadyState, Prediction
from harness.twin import Demand, Pipeline, compiled, of_plan
from harness.twin.replay import replay
from harness.twin.service_profile import ServiceProfile, modelled, profile_of

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
REPLICATIONS = 20
FAR = 0.1
"""A relative difference between two rungs that is worth a sentence."""
NOTED_MISS = 0.03
"""Of the p99 of two moments against the exact one, from which on its rung says so."""


@dataclass(frozen=True)
class Bottleneck:
    """The busiest stage of a run as a queue: what the closed forms are given.

    service_s: shape (requests,), for each request its share of the service of its batch. elsewhere_s: the mean
    service of the other stages, which the closed forms add as a constant.
    """

    stage: StagePlan
    rate_rps: float
    arrival_scv: float
    service_s: NDArray[np.float64]
    elsewhere_s: float

    @property
    def service_scv(self) -> float:
        """Squared coefficient of variation of the service times."""
        return float(self.service_s.var() / self.service_s.mean() ** 2)


def ladder(plan: Plan, records: RunRecords, seed: int = 1) -> tuple[Rung, ...]:
    """Each rung's p50, p90, p99 in ms beside the measured ones, with the relative error; see `meaning`.

    M/M/1 at the bottleneck, M/G/1 with the measured service times, Allen-Cunneen with the measured variability, the
    twin with this run's arrivals and service times drawn from the measured ones, and the twin with both as they were.
    Of a long run they see the requests that `modelled` says, and the measured figures are those of the same requests.
    Empty for a closed load, and where too little completed. A model that does not apply has None for its figures and
    says why in `note`; there, too, stands how far Allen-Cunneen is off in itself, as a number in `p99_bias`.
    """
    records = modelled(records)
    observed = _observed(plan, records)
    if observed is None:
        return ()
    measured, found = observed
    profile = profile_of(plan, records)
    rungs = [
        *_closed_forms(found),
        _rung("twin, service drawn anew", "simulation", _redrawn(plan, records, profile, seed)),
        _replayed(plan, records, profile),
    ]
    return tuple(Rung(**rung, error=_errors(rung["e2e"], measured)) for rung in rungs)


def _observed(plan: Plan, records: RunRecords) -> tuple[dict[str, float], Bottleneck] | None:
    """The measured levels, and the busiest stage; None where there is nothing that models could be held against."""
    done = records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    if isinstance(plan.load, Closed) or len(done) < 10 or np.ptp(done.due) == 0:
        return None
    return _levels(done.completed - done.due), bottleneck(plan, done)


def meaning(plan: Plan, records: RunRecords, rungs: Sequence[Rung]) -> tuple[str, ...]:
    """What the differences between the rungs say about the run, in sentences."""
    by_name = {rung.model: rung for rung in rungs}
    if not rungs:
        return ()
    issued, records = len(records), modelled(records)
    done = records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    found, replayed, redrawn = bottleneck(plan, done), by_name["twin, replayed"], by_name["twin, service drawn anew"]
    said = [_of_replay(replayed)]
    apart = _apart(replayed, redrawn)
    if apart is not None and abs(apart) > FAR:
        again = lag_one(plan, done, found.stage.index)
        why = (
            f"slow services come one after another (correlation {again:.2f} from one to the next)"
            if again > 0.1
            else "chance: the run is short, and its slow services met its bursts differently"
        )
        way = "higher" if apart > 0 else "lower"
        said.append(f"With the same service times in another order p99 would be {abs(apart):.0%} {way}: {why}.")
    first, error = rungs[0], rungs[0].error["p99"]
    if error is not None and abs(error) > FAR:
        reasons = _beyond_mm1(plan, done, found)
        over = "over" if error > 0 else "under"
        said.append(f"{first.model} alone {over}estimates p99 by {abs(error):.0%}: {reasons}.")
    if issued > len(records):
        said.append(f"The models were given the first {len(records):,} of {issued:,} requests.")
    return tuple(said)


def _beyond_mm1(plan: Plan, done: RunRecords, found: Bottleneck) -> str:
    """What the run has that M/M/c at one stage does not know of."""
    cv, arrivals = found.service_scv**0.5, found.arrival_scv**0.5
    load = float(found.service_s.mean()) / found.stage.workers
    others = [s for s in plan.stages if s is not found.stage and _shares_s(done, s.index).mean() / s.workers > load / 3]
    reasons = []
    if abs(cv - 1) > 0.15:
        reasons.append(f"service at {found.stage.name} has a coefficient of variation of {cv:.2f}, not 1")
    if found.stage.batch_max > 1:
        reasons.append("it serves batches")
    if others:
        reasons.append(f"requests queue at {', '.join(s.name for s in others)} too")
    if abs(arrivals - 1) > 0.15:
        reasons.append(f"the arrivals have one of {arrivals:.2f}")
    return ", and ".join(reasons) or "the run is short, and its mean service time is only an estimate"


def bottleneck(plan: Plan, done: RunRecords) -> Bottleneck:
    """The stage with the most work per worker. done: measured, completed requests."""
    shares = [_shares_s(done, stage.index) for stage in plan.stages]
    busiest = max(plan.stages, key=lambda stage: shares[stage.index].mean() / stage.workers)
    gaps = np.diff(np.sort(done.due)) / 1e9
    return Bottleneck(
        stage=busiest,
        rate_rps=float(1 / gaps.mean()),
        arrival_scv=float(gaps.var() / gaps.mean() ** 2),
        service_s=shares[busiest.index],
        elsewhere_s=float(sum(s.mean() for i, s in enumerate(shares) if i != busiest.index)),
    )


def mm1_alone(found: Bottleneck) -> dict[str, float] | None:
    """Quantiles in ms of M/M/c at the bottleneck; None without a steady state."""
    levels: dict[str, float] | None = _closed_forms(found)[0]["e2e"]
    return levels


def of_run(run: SavedRun) -> RunLadder:
    """The ladder of a saved run and what it means."""
    plan, records = resolve(load(run.path / "resolved.yaml")), run.records
    rungs = ladder(plan, records)
    done = modelled(records).of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    return RunLadder(
        kind="ladder",
        run=str(run.path),
        measured_ms=_levels(done.completed - done.due) if len(done) else None,
        rungs=rungs,
        meaning=meaning(plan, records, rungs),
    )


def lag_one(plan: Plan, done: RunRecords, index: int) -> float:
    """Correlation of the service times of one batch and the next at a stage, relative to what their size explains."""
    stage = done.stage(index)
    served = batches(stage.batch)
    samples = profile_of(plan, done).stages[index]
    order = np.argsort(stage.started[served.first], kind="stable")
    relative = ((stage.done - stage.started)[served.first] / samples.mean_ns(served.size))[order]
    if len(relative) < 10 or np.ptp(relative) == 0:
        return 0.0
    return float(np.corrcoef(relative[:-1], relative[1:])[0, 1])


class _Given(TypedDict):
    """What a model gives: the fields of a Rung but its error. One that does not concern it is left out."""

    model: str
    kind: str
    e2e: dict[str, float] | None
    note: NotRequired[str]
    p99_bias: NotRequired[float]
    correlation: NotRequired[float]


def _closed_forms(found: Bottleneck) -> list[_Given]:
    rate, mean, workers = found.rate_rps, float(found.service_s.mean()), found.stage.workers
    simple = theory.mm1(rate, mean) if workers == 1 else theory.mmc(rate, mean, workers)
    rungs = [_predicted(f"M/M/{workers}", simple, found)]
    if workers == 1:
        rungs.append(_predicted("M/G/1, measured service", theory.mg1(rate, found.service_s), found))
    else:
        rungs.append({**_rung("M/G/1, measured service", "numerical", None), "note": f"{workers} workers, not 1"})
    two_moments = theory.allen_cunneen(rate, mean, workers, found.arrival_scv, found.service_scv)
    rungs.append(_predicted("Allen-Cunneen", two_moments, found))
    miss = theory.two_moment_error(rate / workers, mean, found.service_scv)
    if miss is not None and abs(miss) >= NOTED_MISS:
        way, cv = "high" if miss > 0 else "low", found.service_scv**0.5
        rungs[-1]["p99_bias"] = miss
        rungs[-1]["note"] = (
            f"by two moments p99 is {abs(miss):.0%} too {way} for such service (cv {cv:.2f}), against M/G/1"
        )
    return rungs


def _predicted(name: str, prediction: Prediction | NoSteadyState, found: Bottleneck) -> _Given:
    if isinstance(prediction, NoSteadyState):
        return {**_rung(name, "exact", None), "note": str(prediction)}
    levels = {key: (prediction.sojourn.quantile_s(q) + found.elsewhere_s) * 1e3 for key, q in LEVELS.items()}
    return _rung(name, prediction.kind, levels)


def _redrawn(plan: Plan, records: RunRecords, profile: ServiceProfile, seed: int) -> dict[str, float]:
    offered = records.select(records.column("phase") != Phase.SATURATION)
    measured = offered.column("phase") == Phase.MEASURED
    pipeline = of_plan(plan, profile.overheads)
    latencies = np.empty(REPLICATIONS * len(offered), np.int64)
    count = 0
    for child in np.random.SeedSequence(seed).spawn(REPLICATIONS):
        service = profile.draw(pipeline, len(offered), np.random.default_rng(child), block=1)
        found = _simulated(pipeline, Demand(service, np.ascontiguousarray(offered.due)), measured)
        latencies[count : count + len(found)] = found
        count += len(found)
    return _levels(latencies[:count])


def _simulated(pipeline: Pipeline, demand: Demand, measured: NDArray[np.bool_]) -> Ints:
    twin = compiled.simulate(pipeline, demand)
    latencies: Ints = (twin.completed - twin.due)[measured & (twin.outcome == Outcome.COMPLETED)]
    return latencies


def _replayed(plan: Plan, records: RunRecords, profile: ServiceProfile) -> _Given:
    again = replay(plan, records, profile)
    levels = _levels(again.replayed_ns)
    return {**_rung("twin, replayed", "simulation", levels), "correlation": again.correlation}


def _shares_s(done: RunRecords, index: int) -> NDArray[np.float64]:
    stage = done.stage(index)
    together = batches(stage.batch)
    return np.asarray(np.maximum(stage.done - stage.started, 1) / together.size[together.number] / 1e9)


def _of_replay(replayed: Rung) -> str:
    error, correlation = replayed.error["p99"] or 0.0, replayed.correlation or 0.0
    if abs(error) <= 0.05 and correlation >= 0.99:
        return (
            f"Queueing and its own service times explain this run: replayed, p99 is {error:+.1%} off (correlation"
            f" {correlation:.4f}). That is no test of a prediction."
        )
    missing = "less" if error < 0 else "more"
    return (
        f"Replayed with its own arrivals and service times, p99 is {abs(error):.1%} {missing} than measured"
        f" (correlation {correlation:.3f}): the rest is between the stamps, in hops, scheduling and shared cores."
    )


def _apart(replayed: Rung, redrawn: Rung) -> float | None:
    if not replayed.e2e or not redrawn.e2e:
        return None
    return redrawn.e2e["p99"] / replayed.e2e["p99"] - 1


def _rung(model: str, kind: str, levels: Mapping[str, float] | None) -> _Given:
    return {"model": model, "kind": kind, "e2e": dict(levels) if levels else None}


def _levels(latency_ns: Ints) -> dict[str, float]:
    ranks = {key: rank(len(latency_ns), q) - 1 for key, q in LEVELS.items()}
    ordered = np.partition(latency_ns, list(ranks.values()))
    return {key: float(ordered[k]) / 1e6 for key, k in ranks.items()}


def _errors(levels: Mapping[str, float] | None, measured: Mapping[str, float]) -> dict[str, float | None]:
    return {key: levels[key] / measured[key] - 1 if levels else None for key in LEVELS}
