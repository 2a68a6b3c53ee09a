"""`harness crosscheck`: a run beside theory and the twin, or predictions beside runs that were held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options, output
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.studies.predict.document import HeldOutResult, RunLadder


@click.command("crosscheck")
@click.argument("run", required=False)
@click.option(
    "--calibrate", "learn", multiple=True, metavar="RUN", help="Take service times from this run; repeatable."
)
@click.option("--score", multiple=True, metavar="RUN", help="Predict this run from them, and compare; repeatable.")
@options.out()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(run: str | None, learn: tuple[str, ...], score: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Compare a saved run with theory and the twin, or score predictions on runs that were held out.

    \b
    Example:
      harness crosscheck last
      harness crosscheck --calibrate last~3 --calibrate last~1 --score last~2 --score last

    RUN: a folder, last, last~1, or a scenario's name.
    """
    from harness import store
    from harness.report.screens import crosscheck as screen

    if bool(learn) != bool(score) or (run is None) != bool(learn):
        raise UsageError("expected either a RUN, or --calibrate with --score", hint="harness crosscheck last")
    found: RunLadder | HeldOutResult
    if run is not None:
        from harness.studies.predict.crosscheck import of_run

        found = of_run(store.find(run, out))
    else:
        from harness.studies.predict.heldout import held_out

        learnt, scored = ([store.find(reference, out) for reference in given] for given in (learn, score))
        found = held_out(learnt, scored)
    if as_json:
        output.say(store.to_json(found.as_json()))
        return
    screen.show(output.screen(), found)
