"""`harness runs`: what has been saved."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("runs")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder under which runs are saved.",
)
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

    runs = [(run.path, run.summary) for run in islice(store.list_runs(out), limit)]
    if as_json:
        for path, summary in runs:
            click.echo(json.dumps({"path": str(path), **_row(summary)}))
        return
    from rich.console import Console

    from harness.report import terminal

    terminal.list_runs(Console(highlight=False), [(str(path), _row(summary)) for path, summary in runs], str(out))


def _row(summary: dict) -> dict:  # type: ignore[type-arg]
    keys = ("name", "executor", "started_at", "status", "validity", "throughput_rps", "offered_rps")
    e2e = summary["e2e_ms"]
    return {
        **{key: summary.get(key) for key in keys},
        "completed": summary["requests"]["completed"],
        "p50_ms": e2e["p50"],
        "p99_ms": e2e["p99"],
        "p99_ci": e2e["p99_ci"],
    }
