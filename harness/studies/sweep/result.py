"""A sweep as plain data, for reports and JSON, and as a tidy table with a row for each trial."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import SaveError
from harness.studies.sweep.figures import LEVELS, of_cells
from harness.studies.sweep.folder import Index, SweepFolder, replace
from harness.studies.sweep.frontier import pareto
from harness.studies.sweep.grid import Trial
from harness.studies.sweep.spec import Spec
from harness.text import printable

LONGEST = 40  # of a text that names a machine
STAGE_FIGURES = (
    ("utilisation",), ("service_ms", "p50"), ("service_ms", "p99"), ("queue_wait_ms", "p99"), ("batch_size", "mean"),
)  # fmt: skip


def answer(folder: SweepFolder, simulate: bool = False) -> dict[str, Any]:
    """A sweep as far as it has come. simulate: hold it against the twin, too. Raises UsageError."""
    spec, index = folder.spec, folder.index
    entries = [index.entries[trial] for trial in spec.order if trial in index.entries]
    cells = of_cells(folder, spec, entries)
    ranked = [cell for cell in cells if cell["e2e_ms"]["p99"] is not None and cell["throughput_rps"] is not None]
    front = pareto([(cell["throughput_rps"], cell["e2e_ms"]["p99"]) for cell in ranked])
    twin = None
    if simulate:
        from harness.studies.sweep.prediction import predict  # the compiled twin, which nothing else here needs

        twin = predict(folder, spec, entries, cells)
    count = {s: sum(e.status == s for e in entries) for s in ("completed", "failed", "interrupted")}
    return {
        "kind": "sweep",
        "folder": str(folder.path),
        "scenario": spec.scenario,
        "settings": list(spec.settings),
        "grid": [{"key": axis.key, "values": list(axis.typed)} for axis in spec.axes],
        "repeats": spec.repeats,
        "seed": spec.seed,
        "trials": {"wanted": len(spec.order), **count},
        "cells": cells,
        "front": [ranked[i]["cell"] for i in front],
        "twin": twin,
        "rows": rows(folder, spec, index, twin),
        "notes": [*_machines(index), *_relative(folder, spec), *_capped(folder, spec)],
    }


def rows(folder: SweepFolder, spec: Spec, index: Index, twin: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """One for each trial, in the order of cells and repeats, all with the same keys.

    Figures are named by their place in summary.json. A saturated run has neither latencies nor waits.
    """
    found = []
    for trial in sorted(spec.order):
        entry = index.entries.get(trial)
        run = folder.run(entry) if entry else None
        summary = run.summary if run and entry and entry.status == "completed" else None
        head = {
            "cell": trial.cell,
            "repeat": trial.repeat,
            **spec.values(trial.cell),
            "status": entry.status if entry else "not run",
            "reason": entry.reason if entry else None,
            "run": entry.run if entry else None,
        }
        found.append({**head, **(_measured(summary) if summary else {}), **_twin(trial, twin)})
    names = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in names} for row in found]


def write(rows: Sequence[Mapping[str, Any]], folder: SweepFolder) -> None:
    """As table.parquet and table.csv in the sweep's folder. Raises SaveError."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    table = pa.Table.from_pylist([{key: _shown(value) for key, value in row.items()} for row in rows])
    for name, save in (("table.parquet", pa.parquet.write_table), ("table.csv", pa.csv.write_csv)):
        buffer = io.BytesIO()
        try:
            save(table, buffer)
        except pa.ArrowException as error:
            raise SaveError(f"cannot write the table: {error}", where=str(folder.path / name)) from None
        replace(folder.path / name, buffer.getvalue())


def _shown(value: Any) -> Any:
    """Text without what a terminal would obey: a CSV is looked at there."""
    return printable(value) if isinstance(value, str) else value


def _measured(summary: Mapping[str, Any]) -> dict[str, Any]:
    state, e2e = summary["steady_state"], summary["e2e_ms"]
    verdict = state["verdict"] if state else None
    figures: dict[str, Any] = {
        "started_at": summary["started_at"],
        "validity": summary["validity"],
        "verdict": verdict,
        "slo_met": all(row["met"] for row in summary["slo"]) if summary["slo"] else None,
        **{f"requests.{key}": summary["requests"][key] for key in ("issued", "completed", "failed", "dropped")},
        "offered_rps": summary["offered_rps"],
        "throughput_rps": summary["throughput_rps"],
        "capacity_rps": state["capacity_rps"] if state else None,
        **{f"e2e_ms.{key}": e2e[key] for key in LEVELS},
        "e2e_ms.p99_lo": e2e["p99_ci"][0],
        "e2e_ms.p99_hi": e2e["p99_ci"][1],
        "bottleneck": summary["bottleneck"],
    }
    for name, stage in summary["stages"].items():
        for path in STAGE_FIGURES:
            value = stage[path[0]] if len(path) == 1 else stage[path[0]][path[1]]
            waits = path[0] == "queue_wait_ms" and verdict == "saturated"
            figures[f"stages.{name}.{'.'.join(path)}"] = None if waits else value
    return figures


def _twin(trial: Trial, twin: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was predicted for the trial's cell; calibrated: whether the twin learnt from it."""
    if twin is None:
        return {}
    found = twin["by_cell"].get(trial.cell)
    return {
        "twin.calibrated": trial.cell in twin["calibrated_on"],
        "twin.steady": found["steady"] if found else None,
        "twin.capacity_rps": found["capacity_rps"] if found else None,
        **{f"twin.e2e_ms.{key}": found["e2e_ms"][key] if found else None for key in LEVELS},
    }


def _machines(index: Index) -> list[str]:
    """Whether, and in what, the runs' machines differ."""
    if len(index.machines) < 2:
        return []
    first = index.machines[0]
    names = dict.fromkeys(name for machine in index.machines for name in machine)
    changed = [name for name in names if any(m.get(name) != first.get(name) for m in index.machines)]
    seen = {name: list(dict.fromkeys(str(m.get(name))[:LONGEST] for m in index.machines)) for name in changed}
    told = [f"{name} ({' / '.join(values[:3])}{' / ...' if len(values) > 3 else ''})" for name, values in seen.items()]
    return [f"The machine or its software changed during the sweep: {', '.join(told)}. Compare with care."]


def _relative(folder: SweepFolder, spec: Spec) -> list[str]:
    """What a utilisation means beside an axis that changes the capacity."""
    scenario = folder.scenario(1)
    others = [key for key in spec.keys if not key.startswith("load")]
    if getattr(scenario.load, "utilisation", None) is None or not others:
        return []
    return [
        f"load.utilisation is a share of each cell's own capacity, so cells that differ in {', '.join(others)} got"
        " different rates: see offered. For the same traffic in every cell: --grid load.rate=..."
    ]


def _capped(folder: SweepFolder, spec: Spec) -> list[str]:
    """Batches that cannot get as large as an axis says."""
    asked = {key.split(".")[1] for key in spec.keys if key.startswith("stages.") and key.endswith(".batch.max")}
    scenarios = [folder.scenario(cell) for cell in spec.cells] if asked else []
    stages = [s for found in scenarios for s in found.stages if s.name in asked and s.batching.max > s.capacity]
    return [
        f"{name}: batches are limited to the stage's capacity of {min(s.capacity for s in stages if s.name == name)}."
        f" Raise stages.{name}.capacity with the batch."
        for name in dict.fromkeys(s.name for s in stages)
    ]
