"""`harness doctor`: is this host fit for latency measurements?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from harness import host
from harness.commands import output
from harness.errors import SaveError

SCHEMA_VERSION = 1
ANNOUNCED_S = 2.0


@click.command("doctor")
@click.option(
    "--json", "json_to", metavar="PATH", help="Write the findings as JSON to a file, or to - and nothing else."
)
@click.option(
    "--sample",
    "sample_s",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to watch the idle host for steal and other programs; 0 does not.",
)
def command(json_to: str | None, sample_s: float) -> None:
    """Describe this machine and warn of what would make its latencies unsteady.

    \b
    Example:
      harness doctor
      harness doctor --json - | jq '.warnings[] | select(.level == "warning")'

    It changes nothing, and ends with exit code 0 whatever it finds. Close what you can before it watches the host:
    every program that runs meanwhile counts as disturbance.
    """
    if sample_s >= ANNOUNCED_S:
        output.tell(f"Watching the host for {sample_s:g} s.")
    description = host.describe()
    interval = host.sample(sample_s) if sample_s else None
    verdicts = host.warnings(description, interval=interval)
    # NumPy comes with the kernels: imported here, it costs neither `harness --help` nor the host while it is watched.
    from harness.kernels import backends

    usable = backends()
    if json_to is not None:
        found = {
            "schema_version": SCHEMA_VERSION,
            "description": description,
            "sample": None if interval is None else asdict(interval),
            "warnings": [asdict(verdict) for verdict in verdicts],
            "backends": usable,
        }
        _write(json.dumps(found, indent=2), json_to)
    if json_to != "-":
        from harness.report.screens import doctor

        doctor.show(output.screen(), description, verdicts, usable, interval)


def _write(text: str, to: str) -> None:
    if to == "-":
        output.say(text)
        return
    try:
        Path(to).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SaveError(f"cannot write the findings: {error.strerror}", where=to) from error
