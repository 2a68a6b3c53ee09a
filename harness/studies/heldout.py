"""Calibrate on some runs, predict others: how far the twin can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.records import Outcome, Phase, RunRecords
from harness.scenario import load
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.store import SavedRun
from harness.studies import crosscheck
from harness.twin import Demand, compiled, of_plan
from harness.twin.calibration import Calibration, calibrate
from harness.twin.pooling import pooled

REPLICATIONS = 50
LEVELS = {"p50": 0.5, "p99": 0.99}


def held_out(calibration: Sequence[SavedRun], score: Sequence[SavedRun], seed: int = 1) -> list[dict[str, Any]]:
    """Predict each scored run from the others: its own arrival times, service times drawn from theirs.

    A row a run: utilisation of its bottleneck, measured and predicted p50 and p99 in ms with the relative error, the
    same with service times that do not grow with the load, and by M/M/1 alone. service_error: how far off the mean
    service time of the bottleneck alone was; where it is large, no model of the queues can be right. Raises UsageError.
    """
    overlap = {r.path.resolve() for r in calibration} & {r.path.resolve() for r in score}
    if overlap:
        raise UsageError(f"{overlap.pop()} is both calibrated on and scored", hint="Score runs that were held out.")
    opened = [_open(run) for run in calibration]
    try:
        learnt = [calibrate(plan, records) for plan, records in opened]
        return [_row(run, learnt, seed) for run in score]
    except ValueError as error:
        raise UsageError(f"cannot calibrate on these runs: {error}") from None


def _row(run: SavedRun, learnt: Sequence[Calibration], seed: int) -> dict[str, Any]:
    plan, records = _open(run)
    done = records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
    found = crosscheck.bottleneck(plan, done)
    latency = done.completed - done.due
    measured = {key: quantile(latency, q) / 1e6 for key, q in LEVELS.items()}
    interval = dependent(latency, 0.99)
    simple = crosscheck.mm1_alone(found)
    calibration = pooled(learnt, found.rate_rps)
    return {
        "run": str(run.path),
        "rate_rps": found.rate_rps,
        "utilisation": found.rate_rps * float(found.service_s.mean()) / found.stage.workers,
        "measured_ms": measured,
        "p99_ci": [None if end is None else end / 1e6 for end in (interval.lo, interval.hi)],
        "twin": _compared(_predict(plan, records, calibration, seed), measured),
        "service_error": _service_error(calibration, calibrate(plan, records), found.stage.name),
        "constant_service": _compared(_predict(plan, records, pooled(learnt), seed), measured),
        "mm1": _compared(simple, measured),
    }


def _predict(plan: Plan, records: RunRecords, calibration: Calibration, seed: int) -> dict[str, float]:
    offered = records.select(records.column("phase") != Phase.CALIBRATION)
    counted = offered.column("phase") == Phase.MEASURED
    pipeline = of_plan(plan, calibration.overheads)
    found = []
    for child in np.random.SeedSequence(seed).spawn(REPLICATIONS):
        service = calibration.draw(pipeline, len(offered), np.random.default_rng(child))
        twin = compiled.simulate(pipeline, Demand(service, np.ascontiguousarray(offered.due))).select(counted)
        done = twin.with_outcome(Outcome.COMPLETED)
        found.append([quantile(done.completed - done.due, q) / 1e6 for q in LEVELS.values()])
    return dict(zip(LEVELS, np.median(np.array(found), axis=0).tolist(), strict=True))


def _service_error(predicted: Calibration, actual: Calibration, name: str) -> float:
    """Relative error of the mean service time at a stage, for batches of the sizes that there were."""
    ours, theirs = predicted.stage(name), actual.stage(name)
    assert ours is not None and theirs is not None
    expected = sum(count * float(ours.of_size(size).mean()) for size, count in theirs.counts.items())
    return expected / float(theirs.service_ns.sum()) - 1


def _compared(levels: dict[str, float] | None, measured: dict[str, float]) -> dict[str, Any]:
    if levels is None:
        return {"e2e_ms": None, "error": None}
    return {"e2e_ms": levels, "error": {key: levels[key] / measured[key] - 1 for key in LEVELS}}


def _open(run: SavedRun) -> tuple[Plan, RunRecords]:
    return resolve(load(run.path / "resolved.yaml")), run.records
