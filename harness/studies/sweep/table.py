"""The tidy table of a sweep: a row for each run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from harness.errors import SaveError
from harness.studies.sweep.document import Row, TwinResult
from harness.studies.sweep.figures import LEVELS
from harness.studies.sweep.folder import Index, SweepFolder, replace
from harness.studies.sweep.spec import Spec
from harness.studies.sweep.trials import Trial, Value
from harness.summary import Summary
from harness.text import printable


def rows(folder: SweepFolder, spec: Spec, index: Index, twin: TwinResult | None = None) -> list[Row]:
    """A row for each trial, by variant and repeat, all with the same columns.

    A figure is named by its place in summary.json. A saturated run has neither latencies nor waits.
    """
    found: list[Row] = []
    for trial in sorted(spec.order):
        entry = index.entries.get(trial)
        run = folder.run(entry) if entry else None
        summary = run.summary if run and entry and entry.status == "completed" else None
        head: Row = {
            "cell": trial.variant,
            "repeat": trial.repeat,
            **spec.values(trial.variant),
            "status": entry.status if entry else "not run",
            "reason": entry.reason if entry else None,
            "run": entry.run if entry else None,
        }
        found.append({**head, **(_measured(summary) if summary else {}), **_twin(trial, twin)})
    names = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in names} for row in found]


def write(rows: Sequence[Row], folder: SweepFolder) -> None:
    """Write them as table.parquet and table.csv into the sweep's folder. Raises SaveError."""
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


def _shown(value: Value | bool | None) -> Value | bool | None:
    """Text without control characters: people look at a CSV in a terminal."""
    return printable(value) if isinstance(value, str) else value


def _measured(summary: Summary) -> Row:
    state, e2e, counts = summary.steady_state, summary.e2e, summary.requests
    verdict = state.verdict if state else None
    figures: dict[str, Any] = {
        "started_at": summary.started_at,
        "validity": summary.validity,
        "verdict": verdict,
        "slo_met": all(row.met for row in summary.slo) if summary.slo else None,
        "requests.issued": counts.issued,
        "requests.completed": counts.completed,
        "requests.failed": counts.failed,
        "requests.dropped": counts.dropped,
        "offered_rps": summary.offered_rps,
        "throughput_rps": summary.throughput_rps,
        "capacity_rps": state.capacity_rps if state else None,
        **{f"e2e_ms.{key}": e2e[key] for key in LEVELS},
        "e2e_ms.p99_lo": e2e.p99_interval[0],
        "e2e_ms.p99_hi": e2e.p99_interval[1],
        "bottleneck": summary.bottleneck,
    }
    for name, stage in summary.stages.items():
        figures |= {
            f"stages.{name}.utilisation": stage.utilisation,
            f"stages.{name}.service_ms.p50": stage.service.p50,
            f"stages.{name}.service_ms.p99": stage.service.p99,
            f"stages.{name}.queue_wait_ms.p99": None if summary.saturated else stage.queue_wait.p99,
            f"stages.{name}.batch_size.mean": stage.batch_size.mean,
        }
    return figures


def _twin(trial: Trial, twin: TwinResult | None) -> Row:
    """The prediction for the trial's variant. calibrated: whether the twin learnt from that variant."""
    if twin is None:
        return {}
    found = twin.forecasts.get(trial.variant)
    return {
        "twin.calibrated": trial.variant in twin.learnt_from,
        "twin.steady": found.steady if found else None,
        "twin.capacity_rps": found.saturated_rps if found else None,
        **{f"twin.e2e_ms.{key}": found.e2e_ms[key] if found else None for key in LEVELS},
    }
