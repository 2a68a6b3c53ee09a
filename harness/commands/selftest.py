"""`harness selftest`: is the instrument right on this machine?"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from harness.commands import output
from harness.errors import NOT_MET


@click.command("selftest")
@click.option(
    "--requests", type=click.IntRange(min=200), default=1500, show_default=True, help="Of each delay pipeline."
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON and nothing else.")
def command(requests: int, as_json: bool) -> None:
    """Prove the instrument here, in about two minutes.

    \b
    Example:
      harness selftest
      harness selftest --requests 5000 --json

    Real pipelines whose answer is known: what a hop costs, delay stages against exact queueing theory, every request
    against its replay in the twin, a planted stall; and the twin against theory. Ends with exit code 3 when something
    does not hold, or when the machine is too noisy to say.
    """
    from harness.report.screens import selftest as report
    from harness.studies.selftest import selftest

    console = output.screen()
    if not as_json:
        report.head(console)
    lines = []
    for line in selftest(requests):
        lines.append(line)
        if not as_json:
            report.show(console, line)
    if as_json:
        output.say(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        report.conclude(console, lines)
    if any(line.verdict != "pass" for line in lines):
        raise SystemExit(NOT_MET)
