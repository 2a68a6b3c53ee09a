"""`harness runs`: what has been saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options, output
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.store import SavedRun
    from harness.summary import Summary


@click.command("runs")
@options.out()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one run a line.")
@click.option("-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list.")
def command(out: Path, as_json: bool, limit: int) -> None:
    """List saved runs, the newest first, with p99 and validity.

    \b
    Example:
      harness runs
      harness runs -n 5 --json

    Other commands take a run as a folder, as last, last~1, or by a scenario's name.
    """
    from itertools import islice

    from harness import store

    rows = [(run.path, _summary(run)) for run in islice(store.list_runs(out), limit)]
    for folder in store.unfinished(out):
        output.tell(f"{folder}: a run is being saved there, or its process was killed while it was; then delete it")
    if as_json:
        for path, summary in rows:
            output.say(json.dumps({"path": str(path), **_row(path, summary)}))
        return
    from harness.report.screens import runs as terminal

    terminal.show(output.screen(), rows, str(out))


def _summary(run: SavedRun) -> Summary | UsageError:
    """A run's summary, or why it cannot be read, which is told."""
    try:
        return run.summary
    except UsageError as error:
        output.tell(str(error))
        return error


def _row(path: Path, summary: Summary | UsageError) -> dict[str, Any]:
    if isinstance(summary, UsageError):
        return {"name": path.parent.name, "unreadable": summary.what}
    return {
        "name": summary.name,
        "executor": summary.executor,
        "started_at": summary.started_at,
        "status": summary.status,
        "validity": summary.validity,
        "throughput_rps": summary.throughput_rps,
        "offered_rps": summary.offered_rps,
        "completed": summary.requests.completed,
        "p50_ms": summary.e2e.p50,
        "p99_ms": summary.e2e.p99,
        "p99_ci": summary.e2e.p99_interval,
    }
