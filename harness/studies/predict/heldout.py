"""Calibrate on some runs, predict others: how far the twin can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from harness.twin import Demand, compiled, of_plan
from harness.twin.calibration import Calibration, calibrate
from harness.twin.pooling import pooled

REPLICATIONS = 100
LEVELS = {"p50": 0.5, "p99": 0.99}


@dataclass(frozen=True)
class _Scored:
    """A run that was held out, with what it is scored by."""

    path: str
    plan: Plan
    records: RunRecords
    found: Bottleneck

    @property
    def latency(self) -> Ints:
        """e2e latencies of the measured requests, ns."""
        done = _done(self.records)
        return done.completed - done.due


def held_out(calibration: Sequence[SavedRun], score: Sequence[SavedRun], seed: int = 1) -> list[dict[str, Any]]:
    """Predict the scored runs from the others: their own arrival times, service times drawn from the others'.

    A row for all runs of one scenario (they differ in their seeds at most), whose requests are taken together:
    utilisation of their bottleneck, measured and predicted p50 and p99 in ms with the relative error and the range in
    which 95 % of the twin's replications lie (such runs differ by chance as much), the same with service times that do
    not grow with the load, and by M/M/1 alone. service_error: how far off the mean service time of the bottleneck
    alone was; where it is large, no model of the queues can be right. Raises UsageError.
    """
    overlap = {r.path.resolve() for r in calibration} & {r.path.resolve() for r in score}
    if overlap:
        raise UsageError(f"{overlap.pop()} is both calibrated on and scored", hint="Score runs that were held out.")
    try:
        learnt = [calibrate(plan, records) for plan, records in map(_open, calibration)]
        alike: dict[str, list[_Scored]] = {}
        for run in score:
            plan, records = _open(run)
            scored = _Scored(str(run.path), plan, records, crosscheck.bottleneck(plan, _done(records)))
            alike.setdefault(_same(plan), []).append(scored)
        return [_row(runs, learnt, seed) for runs in alike.values()]
    except ValueError as error:
        raise UsageError(f"cannot calibrate on these runs: {error}") from None


def _same(plan: Plan) -> str:
    """What runs have in common that are scored together: all but their seeds."""
    alike = plan.load.model_copy(update={"seed": 0})
    return plan.scenario.model_copy(update={"load": alike}).model_dump_json()


def _row(runs: Sequence[_Scored], learnt: Sequence[Calibration], seed: int) -> dict[str, Any]:
    latency = np.concatenate([run.latency for run in runs])
    measured = {key: quantile(latency, q) / 1e6 for key, q in LEVELS.items()}
    interval = dependent(latency, 0.99)
    found = _together([run.found for run in runs])
    calibration = pooled(learnt, found.rate_rps)
    predicted = _predict(runs, calibration, seed)
    return {
        "runs": [run.path for run in runs],
        "requests": len(latency),
        "rate_rps": found.rate_rps,
        "utilisation": found.rate_rps * float(found.service_s.mean()) / found.stage.workers,
        "measured_ms": measured,
        "p99_ci": [None if end is None else end / 1e6 for end in (interval.lo, interval.hi)],
        "twin": {**_compared(_middle(predicted), measured), "range_ms": _range(predicted)},
        "service_error": _service_error(calibration, runs, found.stage.name),
        "constant_service": _compared(_middle(_predict(runs, pooled(learnt), seed)), measured),
        "mm1": _compared(crosscheck.mm1_alone(found), measured),
    }


def _together(found: Sequence[Bottleneck]) -> Bottleneck:
    """The bottleneck of runs of the same scenario: that of the first, with the services of all."""
    return replace(
        found[0],
        rate_rps=float(np.mean([f.rate_rps for f in found])),
        arrival_scv=float(np.mean([f.arrival_scv for f in found])),
        service_s=np.concatenate([f.service_s for f in found]),
        elsewhere_s=float(np.mean([f.elsewhere_s for f in found])),
    )


def _predict(runs: Sequence[_Scored], calibration: Calibration, seed: int) -> NDArray[np.float64]:
    """Quantiles in ms of all the runs' requests, shape (REPLICATIONS, len(LEVELS))."""
    found = []
    for child in np.random.SeedSequence(seed).spawn(REPLICATIONS):
        rng = np.random.default_rng(child)
        latency = np.concatenate([_simulated(run, calibration, rng) for run in runs])
        found.append([quantile(latency, q) / 1e6 for q in LEVELS.values()])
    return np.array(found)


def _middle(predicted: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(LEVELS, np.median(predicted, axis=0).tolist(), strict=True))


def _range(predicted: NDArray[np.float64]) -> dict[str, list[float]]:
    return dict(zip(LEVELS, np.percentile(predicted, (2.5, 97.5), axis=0).T.tolist(), strict=True))


def _simulated(run: _Scored, calibration: Calibration, rng: np.random.Generator) -> NDArray[np.int64]:
    """e2e latencies of the run's measured requests, with its arrivals and service times drawn, ns."""
    pipeline = of_plan(run.plan, calibration.overheads)
    offered = run.records.select(run.records.column("phase") != Phase.SATURATION)
    service = calibration.draw(pipeline, len(offered), rng)
    twin = compiled.simulate(pipeline, Demand(service, np.ascontiguousarray(offered.due)))
    done = twin.select(offered.column("phase") == Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    return done.completed - done.due


def _service_error(predicted: Calibration, runs: Sequence[_Scored], name: str) -> float:
    """Relative error of the mean service time at a stage, for batches of the sizes that there were."""
    ours = predicted.stage(name)
    assert ours is not None
    expected = actual = 0.0
    for run in runs:
        theirs = calibrate(run.plan, run.records).stage(name)
        assert theirs is not None
        expected += sum(count * float(ours.of_size(size).mean()) for size, count in theirs.counts.items())
        actual += float(theirs.service_ns.sum())
    return expected / actual - 1


def _compared(levels: dict[str, float] | None, measured: dict[str, float]) -> dict[str, Any]:
    if levels is None:
        return {"e2e_ms": None, "error": None}
    return {"e2e_ms": levels, "error": {key: levels[key] / measured[key] - 1 for key in LEVELS}}


def _open(run: SavedRun) -> tuple[Plan, RunRecords]:
    return resolve(load(run.path / "resolved.yaml")), run.records


def _done(records: RunRecords) -> RunRecords:
    return records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
