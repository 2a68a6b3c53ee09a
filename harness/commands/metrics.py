"""`harness metrics`: a table of runs that lasts."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands import options


@click.command("metrics")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--update", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The table's file.")
@options.out()
def command(runs: tuple[str, ...], update: Path | None, out: Path) -> None:
    """Print runs as a Markdown table, one row a run, or keep such a table in a file.

    \b
    Example:
      harness metrics last
      harness metrics last resnet18_cpu --update docs/metrics.md

    RUN: a folder, last, last~1, or a scenario's name. Everything comes from the run's summary. A run that the file
    has gets its row anew; whatever else stands in the file stays.
    """
    from harness import store
    from harness.commands import output
    from harness.report.exports import metrics

    saved = [store.find(reference, out) for reference in runs]
    rows = {run.path.resolve().name: metrics.row(run.path.resolve().name, run.summary) for run in saved}
    if update is None:
        output.say(metrics.table(rows.values()))
    else:
        count = metrics.update(update, rows.values())
        output.say(f"{update}: {count} run{'' if count == 1 else 's'}, {len(rows)} of them written now")
