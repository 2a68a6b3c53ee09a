"""`harness runs`: what has been saved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options, output
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.store import SavedRun


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

    rows = list(islice(_rows(store.list_runs(out)), limit))
    for folder in store.unfinished(out):
        output.tell(f"{folder}: a run is being saved there, or its process was killed while it was; then delete it")
    if as_json:
        for path, row in rows:
            output.say(json.dumps({"path": path, **row}))
        return
    from harness.report.screens import run as terminal

    terminal.list_runs(output.screen(), rows, str(out))


def _rows(runs: Iterable[SavedRun]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and figures of each run, in the order that last~N counts; of one that cannot be read, why ("unreadable")."""
    for run in runs:
        try:
            yield str(run.path), _row(run.summary)
        except UsageError as error:
            output.tell(str(error))
            yield str(run.path), {"name": run.path.parent.name, "unreadable": error.what}


def _row(summary: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "executor", "started_at", "status", "validity", "throughput_rps", "offered_rps")
    e2e = summary["e2e_ms"]
    return {
        **{key: summary.get(key) for key in keys},
        "completed": summary["requests"]["completed"],
        "p50_ms": e2e["p50"],
        "p99_ms": e2e["p99"],
        "p99_ci": e2e["p99_ci"],
    }
