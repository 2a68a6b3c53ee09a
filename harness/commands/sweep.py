"""`harness sweep`: a grid of scenarios, measured cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import interruption
from harness.commands import options
from harness.errors import RUN_FAILED, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.studies.sweep.folder import SweepFolder


@click.command("sweep")
@click.argument("scenario", type=click.Path(path_type=Path), required=False)
@click.option("--grid", multiple=True, metavar="KEY=V,V,...", help="Values of a key; repeatable. [2,3] is one value.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key in all cells; repeatable.")
@click.option("--repeat", type=click.IntRange(1, 1000), help="Run every cell so often, in rounds.  [default: 1]")
@click.option("--seed", type=click.IntRange(0), help="Of the order, which is random within a round.  [default: 1]")
@click.option("--resume", metavar="FOLDER", help="Go on with a sweep: run what is lacking or has failed.")
@click.option("--show", metavar="FOLDER", help="Show a sweep as far as it has come, and run nothing.")
@click.option("--simulate", is_flag=True, help="Predict every cell by the twin, which learns from a few of them.")
@options.out("the sweep is")
@click.option("--json", "json_to", metavar="PATH", help="Write the answer as JSON to a file, or to - and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no table: only where the sweep was saved.")
def command(
    scenario: Path | None, grid: tuple[str, ...], overrides: tuple[str, ...], repeat: int | None, seed: int | None,
    resume: str | None, show: str | None, simulate: bool, out: Path, json_to: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Measure a scenario over a grid of settings.

    \b
    Example:
      harness sweep scenarios/resnet18_cpu.yaml --grid stages.inference.batch.max=1,2,4,8 --grid load.rate=4/s,8/s
      harness sweep --resume last
      harness sweep --show last --simulate

    Every cell is checked before the first one runs, and each one's run is saved. A cell that fails is noted, and the
    others go on; the exit code is then 1. Ctrl-C keeps what has run. FOLDER: a sweep's folder, or last.
    """
    from harness.commands import output
    from harness.studies.sweep import folder as folders

    output.check_json(json_to)
    if resume is not None and show is not None:
        raise UsageError("--resume and --show exclude one another")
    if show is not None:
        if scenario is not None or grid or overrides or repeat or seed is not None:
            raise UsageError("--show takes a sweep as it was asked for", hint=f"harness sweep --show {show}")
        _deliver(folders.find(show, out), simulate, json_to, quiet)
        return
    if resume is not None:
        sweep = folders.find(resume, out)
        _check_same(sweep, scenario, grid, overrides, repeat, seed)
    else:
        sweep = _begun(scenario, grid, overrides, repeat or 1, 1 if seed is None else seed, out)
    from harness.report.live.sweep import Lines
    from harness.studies.sweep.running import run

    try:
        received = run(sweep, Lines(quiet=quiet))
    except HarnessError:
        output.tell(_how_to_resume(sweep))
        raise
    answer = _deliver(sweep, simulate and not received, json_to, quiet)
    if received:
        output.tell(f"interrupted. {_how_to_resume(sweep)}")
        raise SystemExit(interruption.exit_code(received))
    if answer["trials"]["failed"]:
        output.tell(f"error: {answer['trials']['failed']} runs failed. {_how_to_resume(sweep)}")
        raise SystemExit(RUN_FAILED)


def _begun(
    scenario: Path | None, grid: tuple[str, ...], overrides: tuple[str, ...], repeats: int, seed: int, out: Path
) -> SweepFolder:
    """A new sweep, every cell of it checked. Raises UsageError."""
    from harness.scenario import find
    from harness.studies.sweep.folder import SweepFolder
    from harness.studies.sweep.grid import Axis
    from harness.studies.sweep.spec import prepare

    if scenario is None or not grid:
        raise UsageError(
            "expected a SCENARIO and a --grid",
            hint="harness sweep scenarios/resnet18_cpu.yaml --grid stages.inference.batch.max=1,2,4,8",
        )
    spec, scenarios = prepare(find(scenario), overrides, [Axis.parse(text) for text in grid], repeats, seed)
    return SweepFolder.create(out, spec, scenarios)


def _check_same(
    sweep: SweepFolder,
    scenario: Path | None,
    grid: tuple[str, ...],
    overrides: tuple[str, ...],
    repeat: int | None,
    seed: int | None,
) -> None:
    """What is given besides --resume has to be what the sweep was begun with. Raises UsageError."""
    from harness.scenario import find
    from harness.studies.sweep.grid import Axis

    spec = sweep.spec
    given = {
        "text": find(scenario).read_text(encoding="utf-8") if scenario is not None else None,
        "axes": tuple(Axis.parse(text) for text in grid) or None,
        "settings": overrides or None,
        "repeats": repeat,
        "seed": seed,
    }
    other = spec.differences(given)
    if other:
        raise UsageError(
            f"this sweep was begun with something else: {', '.join(other)} differs",
            where=str(sweep.path),
            hint=f"harness sweep --resume {sweep.path} goes on with it as it is; without --resume a new one begins.",
        )


def _how_to_resume(sweep: SweepFolder) -> str:
    return f"Go on with: harness sweep --resume {sweep.path}"


def _deliver(sweep: SweepFolder, simulate: bool, json_to: str | None, quiet: bool) -> dict[str, Any]:
    """Write the table and the plots, show the sweep, and return it as data. Raises SaveError."""
    from harness import store
    from harness.commands import output
    from harness.report.plots import sweep as plots
    from harness.studies.sweep.result import answer, write

    found = answer(sweep, simulate)
    write(found["rows"], sweep)
    plots.save(found, sweep.path / "plots")
    if json_to == "-":
        output.say(store.to_json(found))
    elif quiet:
        output.say(str(sweep.path))
    else:
        from harness.report.screens import sweep as table

        table.show(output.screen(), found)
    unwritten = None if json_to in (None, "-") else output.write_json(str(json_to), store.to_json(found), "answer")
    if unwritten is not None:
        raise unwritten
    return found
