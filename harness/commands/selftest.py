"""`harness selftest`: is the tool right on this machine?"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from harness.commands import output
from harness.errors import NOT_MET


@click.command("selftest")
@click.option(
    "--requests",
    type=click.IntRange(min=200),
    default=1500,
    show_default=True,
    help="Requests of each pipeline of delays.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON and nothing else.")
def command(requests: int, as_json: bool) -> None:
    """Check the tool on this machine, in about two minutes.

    \b
    Example:
      harness selftest
      harness selftest --requests 5000 --json

    Runs real pipelines with known results: the cost of a hop, delay stages against exact queueing theory, every request
    against its replay in the twin, a planted stall; and the twin against theory. Exit code 3: a check failed, or the
    machine is too noisy to tell.
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
