"""`harness show`: the screen of a saved run or study again, or where the time of one band of latencies went."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands import options
from harness.errors import UsageError


@click.command("show")
@click.argument("run", default="last")
@click.option(
    "--band",
    metavar="LOW..HIGH",
    help="Only the requests of a band of e2e latency (p90..p99, 100ms..200ms, p99..): where did their time go?",
)
@options.out()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(run: str, band: str | None, out: Path, as_json: bool) -> None:
    """Show a saved run again. RUN: a folder, last, last~1, or a scenario's name.

    \b
    Example:
      harness show last~1
      harness show last --band p90..p99
      harness show resnet18_cpu --json

    The folder of a sweep, a comparison or a search for the capacity is shown likewise.
    """
    from harness import store
    from harness.commands import output

    if Path(run).is_dir() and _study(Path(run), band, as_json):
        return
    saved = store.find(run, out)
    if band is None:
        from harness.report.screens import run as terminal

        summary = saved.summary.model_copy(update={"saved": str(saved.path)})
        if as_json:
            output.say(store.to_json(summary))
        else:
            terminal.show(output.screen(), summary)
    else:
        from harness.report.screens import band as terminal_band
        from harness.studies.run.band import of_run

        found = of_run(saved, band)
        if as_json:
            output.say(store.to_json(found))
        else:
            terminal_band.show(output.screen(), found)


def _study(path: Path, band: str | None, as_json: bool) -> bool:
    """Show the study that a folder holds, if it does. Raises UsageError."""
    from harness import store
    from harness.commands import output
    from harness.report import study

    found = study.read(path)
    if found is None:
        return False
    if band is not None:
        raise UsageError(f"--band goes with a run, and this is a {found.kind}", where=str(path))
    if as_json:
        output.say(store.to_json(found.document.as_json()))
    else:
        found.show(output.screen())
    return True
