"""`harness sweep`: a scenario with every combination of some settings, measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import interruption
from harness.commands import options
from harness.errors import RUN_FAILED, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.studies.sweep.document import SweepResult
    from harness.studies.sweep.folder import SweepFolder


@click.command("sweep")
@click.argument("scenario", type=click.Path(path_type=Path), required=False)
@options.vary("A key and its values.", former=["--grid"])
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key in every variant; repeatable.")
@click.option("--repeat", type=click.IntRange(1, 1000), help="How often to run every variant, in rounds.  [default: 1]")
@click.option("--seed", type=click.IntRange(0), help="Seed of the random order within a round.  [default: 1]")
@click.option("--resume", metavar="FOLDER", help="Continue a sweep: run what has not completed.")
@click.option("--show", metavar="FOLDER", help="Show a sweep as far as it has come; run nothing.")
@click.option("--simulate", is_flag=True, help="Predict every variant with the twin, which learns from two of them.")
@options.out("the sweep is")
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no table: only where the sweep was saved.")
def command(
    scenario: Path | None, vary: tuple[str, ...], overrides: tuple[str, ...], repeat: int | None, seed: int | None,
    resume: str | None, show: str | None, simulate: bool, out: Path, json_to: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Measure a scenario for every combination of some settings.

    \b
    Example:
      harness sweep scenarios/resnet18_cpu.yaml --vary stages.inference.batch.max=1,2,4,8 --vary load.rate=4/s,8/s
      harness sweep --resume last
      harness sweep --show last --simulate

    Every variant is checked before the first one runs, and every run is saved. When a variant fails, the others still
    run, and the exit code is 1. Ctrl-C keeps what has run. FOLDER: a sweep's folder, or last.
    """
    from harness.commands import output
    from harness.studies.sweep import folder as folders

    output.check_json(json_to)
    if resume is not None and show is not None:
        raise UsageError("--resume and --show exclude one another")
    if show is not None:
        if scenario is not None or vary or overrides or repeat or seed is not None:
            raise UsageError("--show takes no other options of a sweep", hint=f"harness sweep --show {show}")
        _deliver(folders.find(show, out), simulate, json_to, quiet)
        return
    if resume is not None:
        sweep = folders.find(resume, out)
        _check_same(sweep, scenario, vary, overrides, repeat, seed)
    else:
        sweep = _begun(scenario, vary, overrides, repeat or 1, 1 if seed is None else seed, out)
    from harness.report.live.sweep import Lines
    from harness.studies.sweep.running import run

    try:
        received = run(sweep, Lines(quiet=quiet))
    except HarnessError:
        output.tell(_how_to_resume(sweep))
        raise
    failed = _deliver(sweep, simulate and not received, json_to, quiet).trials.failed
    if received:
        output.tell(f"interrupted. {_how_to_resume(sweep)}")
        raise SystemExit(interruption.exit_code(received))
    if failed:
        output.tell(f"error: {failed} runs failed. {_how_to_resume(sweep)}")
        raise SystemExit(RUN_FAILED)


def _begun(
    scenario: Path | None, vary: tuple[str, ...], overrides: tuple[str, ...], repeats: int, seed: int, out: Path
) -> SweepFolder:
    """A new sweep, with every variant checked. Raises UsageError."""
    from harness.scenario import find, parse_axes
    from harness.studies.sweep.folder import SweepFolder
    from harness.studies.sweep.spec import prepare

    if scenario is None or not vary:
        raise UsageError(
            "expected a SCENARIO and a --vary",
            hint="harness sweep scenarios/resnet18_cpu.yaml --vary stages.inference.batch.max=1,2,4,8",
        )
    spec, scenarios = prepare(find(scenario), overrides, parse_axes(vary), repeats, seed)
    return SweepFolder.create(out, spec, scenarios)


def _check_same(
    sweep: SweepFolder,
    scenario: Path | None,
    vary: tuple[str, ...],
    overrides: tuple[str, ...],
    repeat: int | None,
    seed: int | None,
) -> None:
    """Refuse what is given besides --resume where it differs from the sweep. Raises UsageError."""
    from harness.scenario import find, parse_axes

    spec = sweep.spec
    given = {
        "text": find(scenario).read_text(encoding="utf-8") if scenario is not None else None,
        "axes": parse_axes(vary) or None,
        "overrides": overrides or None,
        "repeats": repeat,
        "seed": seed,
    }
    other = spec.differences(given)
    if other:
        raise UsageError(
            f"not the options of this sweep: {', '.join(other)} differs",
            where=str(sweep.path),
            hint=f"`harness sweep --resume {sweep.path}` continues it as it is; without --resume a new sweep begins.",
        )


def _how_to_resume(sweep: SweepFolder) -> str:
    return f"Continue with: harness sweep --resume {sweep.path}"


def _deliver(sweep: SweepFolder, simulate: bool, json_to: str | None, quiet: bool) -> SweepResult:
    """Write the table and the plots, show the sweep, and return it. Raises SaveError."""
    from harness import store
    from harness.api.sweeping import finish
    from harness.commands import output

    found = finish(sweep, simulate)
    text = store.to_json(found.as_json())
    if json_to == "-":
        output.say(text)
    elif quiet:
        output.say(str(sweep.path))
    else:
        from harness.report.screens import sweep as screen

        screen.show(output.screen(), found)
    unwritten = None if json_to in (None, "-") else output.write_json(str(json_to), text, "result")
    if unwritten is not None:
        raise unwritten
    return found
