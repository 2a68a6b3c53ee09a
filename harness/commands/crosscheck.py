"""`harness crosscheck`: a run against theory and the twin, or runs against what others predict of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options, output
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.studies.predict.document import RunLadder


@click.command("crosscheck")
@click.argument("run", required=False)
@click.option(
    "--calibrate", "learn", multiple=True, metavar="RUN", help="Take service times from this run; repeatable."
)
@click.option("--score", multiple=True, metavar="RUN", help="Predict this run from those, and compare; repeatable.")
@options.out()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(run: str | None, learn: tuple[str, ...], score: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Hold a saved run against theory and the twin, or score predictions on runs that were held out.

    \b
    Example:
      harness crosscheck last
      harness crosscheck --calibrate last~3 --calibrate last~1 --score last~2 --score last

    RUN: a folder, last, last~1, or a scenario's name.
    """
    from harness import store
    from harness.report.screens import crosscheck as report

    if bool(learn) != bool(score) or (run is None) != bool(learn):
        raise UsageError("expected either a RUN, or --calibrate with --score", hint="harness crosscheck last")
    found: RunLadder | dict[str, Any]
    if run is not None:
        from harness.studies.predict.crosscheck import of_run

        found = of_run(store.find(run, out))
    else:
        from harness.studies.predict.heldout import held_out

        calibration, scored = ([store.find(reference, out) for reference in given] for given in (learn, score))
        rows = held_out(calibration, scored)
        found = {"kind": "held out", "calibrated_on": [str(r.path) for r in calibration], "rows": rows}
    if as_json:
        output.say(store.to_json(found))
        return
    report.show(output.screen(), found)
