"""Learn service times from some runs, predict others: how far the twin can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.records import Ints, Outcome, Phase, RunRecords
from harness.scenario import load
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.store import SavedRun
from harness.studies.predict import crosscheck
from harness.studies.predict.crosscheck import Bottleneck
from harness.studies.predict.document import HeldOutPrediction, HeldOutResult, HeldOutRow, HeldOutTwin, Interval
from harness.twin import Demand, compiled, of_plan
from harness.twin.pooling import pooled
from harness.twin.service_profile import ServiceProfile, profile_of

REPLICATIONS = 100
LEVELS = {"p50": 0.5, "p99": 0.99}


@dataclass(frozen=True)
class _Scored:
    """A run that was held out, with its bottleneck."""

    path: str
    plan: Plan
    records: RunRecords
    found: Bottleneck

    @property
    def latency(self) -> Ints:
        """e2e latencies of the measured requests, ns."""
        done = _done(self.records)
        return done.completed - done.due


def held_out(learn: Sequence[SavedRun], score: Sequence[SavedRun], seed: int = 1) -> HeldOutResult:
    """Predict the runs to score: with their own arrival times, and service times drawn from the runs to learn from.

    A row for all runs of one scenario, see `HeldOutRow`. Raises UsageError.
    """
    overlap = {r.path.resolve() for r in learn} & {r.path.resolve() for r in score}
    if overlap:
        raise UsageError(f"{overlap.pop()} is both learnt from and scored", hint="Score runs that were held out.")
    try:
        learnt = [profile_of(plan, records) for plan, records in map(_open, learn)]
        alike: dict[str, list[_Scored]] = {}
        for run in score:
            plan, records = _open(run)
            scored = _Scored(str(run.path), plan, records, crosscheck.bottleneck(plan, _done(records)))
            alike.setdefault(_same(plan), []).append(scored)
        rows = tuple(_row(runs, learnt, seed) for runs in alike.values())
    except ValueError as error:
        raise UsageError(f"cannot learn service times from these runs: {error}") from None
    return HeldOutResult(learnt_from=tuple(str(run.path) for run in learn), rows=rows)


def _same(plan: Plan) -> str:
    """Equal for runs that are scored together: they differ in their seeds only."""
    alike = plan.load.model_copy(update={"seed": 0})
    return plan.scenario.model_copy(update={"load": alike}).model_dump_json()


def _row(runs: Sequence[_Scored], learnt: Sequence[ServiceProfile], seed: int) -> HeldOutRow:
    latency = np.concatenate([run.latency for run in runs])
    measured = {key: quantile(latency, q) / 1e6 for key, q in LEVELS.items()}
    interval = dependent(latency, 0.99)
    found = _together([run.found for run in runs])
    profile = pooled(learnt, found.rate_rps)
    predicted = _predict(runs, profile, seed)
    middle, constant = _middle(predicted), _middle(_predict(runs, pooled(learnt), seed))
    simple = crosscheck.mm1_alone(found)
    return HeldOutRow(
        runs=tuple(run.path for run in runs),
        requests=len(latency),
        rate_rps=found.rate_rps,
        utilisation=found.rate_rps * float(found.service_s.mean()) / found.stage.workers,
        measured_ms=measured,
        p99_interval=(_in_ms(interval.lo), _in_ms(interval.hi)),
        twin=HeldOutTwin(e2e_ms=middle, error=_errors(middle, measured), range_ms=_range(predicted)),
        service_error=_service_error(profile, runs, found.stage.name),
        constant_service=HeldOutPrediction(e2e_ms=constant, error=_errors(constant, measured)),
        mm1=HeldOutPrediction(e2e_ms=simple, error=None if simple is None else _errors(simple, measured)),
    )


def _together(found: Sequence[Bottleneck]) -> Bottleneck:
    """The bottleneck of runs of the same scenario: that of the first, with the services of all."""
    return replace(
        found[0],
        rate_rps=float(np.mean([f.rate_rps for f in found])),
        arrival_scv=float(np.mean([f.arrival_scv for f in found])),
        service_s=np.concatenate([f.service_s for f in found]),
        elsewhere_s=float(np.mean([f.elsewhere_s for f in found])),
    )


def _predict(runs: Sequence[_Scored], profile: ServiceProfile, seed: int) -> NDArray[np.float64]:
    """Quantiles in ms of all the runs' requests, shape (REPLICATIONS, len(LEVELS))."""
    found = []
    for child in np.random.SeedSequence(seed).spawn(REPLICATIONS):
        rng = np.random.default_rng(child)
        latency = np.concatenate([_simulated(run, profile, rng) for run in runs])
        found.append([quantile(latency, q) / 1e6 for q in LEVELS.values()])
    return np.array(found)


def _middle(predicted: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(LEVELS, np.median(predicted, axis=0).tolist(), strict=True))


def _range(predicted: NDArray[np.float64]) -> dict[str, Interval]:
    low, high = np.percentile(predicted, (2.5, 97.5), axis=0).tolist()
    return dict(zip(LEVELS, zip(low, high, strict=True), strict=True))


def _simulated(run: _Scored, profile: ServiceProfile, rng: np.random.Generator) -> NDArray[np.int64]:
    """e2e latencies of the run's measured requests, with its arrivals and service times drawn, ns."""
    pipeline = of_plan(run.plan, profile.overheads)
    offered = run.records.select(run.records.column("phase") != Phase.SATURATION)
    service = profile.draw(pipeline, len(offered), rng)
    twin = compiled.simulate(pipeline, Demand(service, np.ascontiguousarray(offered.due)))
    done = twin.select(offered.column("phase") == Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    return done.completed - done.due


def _service_error(predicted: ServiceProfile, runs: Sequence[_Scored], name: str) -> float:
    """Relative error of the mean service time at a stage, for batches of the sizes that there were."""
    ours = predicted.stage(name)
    assert ours is not None
    expected = actual = 0.0
    for run in runs:
        theirs = profile_of(run.plan, run.records).stage(name)
        assert theirs is not None
        expected += sum(count * float(ours.of_size(size).mean()) for size, count in theirs.counts.items())
        actual += float(theirs.service_ns.sum())
    return expected / actual - 1


def _errors(levels: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    return {key: levels[key] / measured[key] - 1 for key in LEVELS}


def _in_ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6


def _open(run: SavedRun) -> tuple[Plan, RunRecords]:
    return resolve(load(run.path / "resolved.yaml")), run.records


def _done(records: RunRecords) -> RunRecords:
    return records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
