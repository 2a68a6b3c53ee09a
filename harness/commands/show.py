"""`harness show`: a saved run's screen again, or where the time of one band of its latencies went."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands import options


@click.command("show")
@click.argument("run", default="last")
@click.option(
    "--band",
    metavar="LOW..HIGH",
    help="Only the requests of a band of e2e latency (p90..p99, 100ms..200ms, p99..): where did their time go?",
)
@options.out()
@click.option("--json", "as_json", is_flag=True, help="Print the summary, or the band, as JSON.")
def command(run: str, band: str | None, out: Path, as_json: bool) -> None:
    """Show a saved run as `harness run` showed it. RUN: a folder, last, last~1, or a scenario's name.

    \b
    Example:
      harness show last~1
      harness show last --band p90..p99
      harness show resnet18_cpu --json
    """
    from harness import store
    from harness.commands import output

    saved = store.find(run, out)
    if band is None:
        answer = {**saved.summary, "saved": str(saved.path)}
    else:
        from harness.studies.run.band import of_run

        answer = of_run(saved, band)
    if as_json:
        output.say(store.to_json(answer))
        return
    if band is None:
        from harness.report.screens import run as terminal

        terminal.show(output.screen(), answer)
    else:
        from harness.report.screens import band as report

        report.show(output.screen(), answer)
