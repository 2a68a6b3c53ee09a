"""The same grid in the twin, which learns from two cells only: all others are predictions that can be held against
what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.scenario import Scenario, with_overrides
from harness.scenario.model import Closed
from harness.store import SavedRun
from harness.studies.predict.forecast import Effort
from harness.studies.predict.whatif import FREE_TO_CHANGE, Source, ask
from harness.studies.sweep.folder import Entry, SweepFolder
from harness.studies.sweep.spec import Spec
from harness.twin.calibration import Calibration
from harness.twin.pooling import pooled
from harness.units import format_rate

EFFORT = Effort(requests=10_000, bootstraps=0)


@dataclass(frozen=True)
class _Cell:
    """A cell and its completed runs. figures: see `figures.of_cells`."""

    scenario: Scenario
    plan: Plan
    runs: tuple[SavedRun, ...]
    figures: Mapping[str, Any]

    @property
    def number(self) -> int:
        """Of the cell."""
        return int(self.figures["cell"])

    @property
    def rate_rps(self) -> float:
        """What was offered, or in a closed load completed."""
        return float(self.figures["offered_rps"] or self.figures["throughput_rps"] or 0.0)

    @property
    def batch(self) -> int:
        """The largest batch of any stage."""
        return max(stage.batch_max for stage in self.plan.stages)


def predict(
    folder: SweepFolder, spec: Spec, entries: Sequence[Entry], cells: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the twin makes of every cell: `by_cell`, `calibrated_on`, `score` and `warnings`.

    Cells whose service times can be taken for each other's (they differ in load, workers, capacity and batch only)
    make a group, and each group's twin learns from two of its cells, see `teachers`.
    """
    groups: dict[str, list[_Cell]] = {}
    for figures in cells:
        scenario = folder.scenario(figures["cell"])
        plan = resolve(scenario)
        runs = [
            folder.run(entry)
            for entry in entries
            if entry.trial.cell == figures["cell"] and entry.status == "completed"
        ]
        cell = _Cell(scenario, plan, tuple(run for run in runs if run is not None), figures)
        groups.setdefault(_alike(plan), []).append(cell)
    by_cell: dict[int, dict[str, Any]] = {}
    calibrated_on: list[int] = []
    warnings: dict[str, None] = {}
    for group in groups.values():
        learnt = teachers([cell for cell in group if cell.runs])
        calibrated_on += [cell.number for cell in learnt]
        try:
            sources = [Source.of(run) for cell in learnt for run in cell.runs]
            for cell in group:
                answer = _predicted(cell, sources)
                by_cell[cell.number] = answer["baseline"]
                warnings.update(dict.fromkeys(answer["warnings"]))
        except (UsageError, ValueError) as error:
            numbers = ", ".join(str(cell.number) for cell in group)
            warnings[f"no prediction for cells {numbers}: {getattr(error, 'what', error)}"] = None
    return {
        "by_cell": by_cell,
        "calibrated_on": sorted(calibrated_on),
        "score": score(cells, by_cell, calibrated_on),
        "warnings": list(warnings),
    }


def teachers(cells: Sequence[_Cell]) -> list[_Cell]:
    """The lowest load with the smallest batches, and the largest batches at the highest load that is no overload.

    Between them lie the batch sizes and the rates of all others; under overload every batch is full, and how long
    half a batch takes would not be known.
    """
    useful = [cell for cell in cells if cell.figures["verdict"] != "saturated"] or list(cells)
    if not useful:
        return []
    low = min(useful, key=lambda cell: (cell.rate_rps, cell.batch))
    high = max(useful, key=lambda cell: (cell.batch, cell.rate_rps))
    return [low] if low is high else [low, high]


def _alike(plan: Plan) -> str:
    """What cells have in common whose service times can be taken for each other's."""
    stages = [(s.name, s.options.model_dump_json(exclude=FREE_TO_CHANGE)) for s in plan.stages]
    return f"{plan.scenario.executor} {plan.scenario.source.model_dump_json()} {stages}"


def _predicted(cell: _Cell, sources: Sequence[Source]) -> dict[str, Any]:
    """At the rate that the cell was offered; where it never ran, at what its scenario says."""
    if not sources:
        raise UsageError("none of them has completed")
    nominal = [run.summary["load"].get("nominal_rps") for run in cell.runs]
    scenario = cell.scenario
    if nominal and all(nominal) and not isinstance(cell.plan.load, Closed):
        scenario = with_overrides(scenario, [f"load.rate={format_rate(sum(nominal) / len(nominal))}"])
    rate = getattr(scenario.load, "rate", None)
    calibration = pooled(served_alike([source.calibration for source in sources]), rate)
    return ask(scenario, (), Source(sources[0].run, sources[0].plan, calibration), EFFORT)


def served_alike(calibrations: Sequence[Calibration]) -> list[Calibration]:
    """Calibrations of the same stages, with a stage that serves batches in one of them taken so in all.

    A stage that was served singly keeps its samples, as batches of 1; only that a large image is slow at several
    stages at once is no longer known of it.
    """
    common = tuple(name for name in calibrations[0].single if all(name in c.single for c in calibrations))
    return [
        replace(c, single=common, together=c.together[:, [c.single.index(name) for name in common]])
        for c in calibrations
    ]


def score(cells: Sequence[Mapping[str, Any]], by_cell: Mapping[int, Any], learnt: Sequence[int]) -> dict[str, Any]:
    """How far the predicted p99 is off in the cells that the twin did not learn from, and how often it lies within
    the measured interval, where there is one on the p99 of runs of any length."""
    pairs = [
        (cell["e2e_ms"], by_cell[cell["cell"]]["e2e_ms"]["p99"])
        for cell in cells
        if cell["cell"] in by_cell and cell["cell"] not in learnt
    ]
    scored = [(e2e, predicted) for e2e, predicted in pairs if e2e["p99"] is not None and predicted is not None]
    intervals = [(e2e["p99_ci"], predicted) for e2e, predicted in scored if e2e["p99_ci_from"] == "requests"]
    return {
        "cells": len(scored),
        "median_apart": statistics.median(abs(p / e2e["p99"] - 1) for e2e, p in scored) if scored else None,
        "intervals": len(intervals),
        "within": sum(lo <= predicted <= hi for (lo, hi), predicted in intervals),
    }
