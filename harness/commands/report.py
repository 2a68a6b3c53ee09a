"""`harness report`: a run, or several side by side, as one HTML file, as pictures, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options, output
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.report.html.study import Study
    from harness.store import SavedRun

MOST_RUNS = 8


@click.command("report")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    help="The file to write; by default report.html in the run's folder, or here for several runs.",
)
@click.option("--png", type=click.Path(path_type=Path, file_okay=False), help="Draw the plots as PNG into a folder.")
@click.option("--svg", type=click.Path(path_type=Path, file_okay=False), help="Draw the plots as SVG into a folder.")
@click.option("--text", is_flag=True, help="Print it instead, with the percentile curve.")
@options.out()
def command(
    runs: tuple[str, ...], target: Path | None, png: Path | None, svg: Path | None, text: bool, out: Path
) -> None:
    """Make a report that can be passed on: one HTML file, with two or more runs side by side.

    \b
    Example:
      harness report last
      harness report last~1 last -o before-and-after.html
      harness report resnet18_cpu --png plots
      harness report last --text

    RUN: a folder, last, last~1, or a scenario's name; last where none is given; or the folder of a sweep, of a
    comparison or of a search for the capacity. The file needs no network.
    """
    from harness import store
    from harness.report.html.files import read_all, write_report, write_study

    if len(runs) > MOST_RUNS:
        raise UsageError(f"{len(runs)} runs side by side, and at most {MOST_RUNS} can be told apart")
    if target is not None:
        _check(target)
    study = _study(runs, text or png or svg)
    if study is not None:
        output.say(f"Report in {write_study(study, target)}")
        return
    saved = [store.find(run, out) for run in runs or ("last",)]
    if text:
        for one in saved:
            _print(one)
    wanted = [(folder, form) for folder, form in ((png, "png"), (svg, "svg")) if folder is not None]
    if wanted:
        from harness.report.plots import run as plots

        read = read_all(saved)
        for folder, form in wanted:
            for path in plots.draw(read, folder, form):
                output.say(str(path))
    if target is not None or not (text or wanted):
        output.say(f"Report in {write_report(saved, target)}")


def _study(runs: Sequence[str], otherwise: object) -> Study | None:
    """The study that the only argument names, if it does. Raises UsageError."""
    from harness.report.html import study

    found = next(filter(None, (study.read(Path(run)) for run in runs if Path(run).is_dir())), None)
    if found is not None and (len(runs) > 1 or otherwise):
        raise UsageError(f"a {found.kind} has a report of its own, as HTML", where=str(found.path))
    return found


def _check(target: Path) -> None:
    """Refuse a place where no file can be written before any work is done."""
    try:
        folder, home = target.is_dir(), target.parent.is_dir()
    except OSError as error:
        raise UsageError(f"no file can have this name: {error.strerror}", where=f"-o {target}") from None
    if folder:
        raise UsageError("a folder, where a file is to be written", where=f"-o {target}")
    if not home:
        raise UsageError(f"there is no folder {target.parent}", where=f"-o {target}", hint="Make it first.")


def _print(saved: SavedRun) -> None:
    from harness.commands import output
    from harness.report import html
    from harness.report.screens import curve
    from harness.report.screens import run as terminal

    screen, run = output.screen(), html.read(saved)
    terminal.show(screen, run.summary.model_copy(update={"saved": str(saved.path)}))
    if run.series is not None:
        curve.show(screen, run.series)
