"""`harness profile`: which operators take a stage's time?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

SCHEMA_VERSION = 1


@click.command("profile")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--stage", "name", metavar="NAME", help="Stage to profile.  [default: the inference]")
@click.option(
    "--under-load/--alone",
    default=True,
    help="Sample its workers while the scenario runs (default), or the stage alone.",
)
@click.option(
    "--calls", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Calls to sample in each worker."
)
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True, help="Operators to show.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any key of the scenario; repeatable.")
@click.option("--trace", type=click.Path(path_type=Path, dir_okay=False), help="Write a trace for ui.perfetto.dev.")
@click.option("--flame", type=click.Path(path_type=Path, dir_okay=False), help="Write a flame view of Python (HTML).")
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
def command(
    scenario: Path, name: str | None, under_load: bool, calls: int, top: int, overrides: tuple[str, ...],
    trace: Path | None, flame: Path | None, json_to: str | None,
) -> None:  # fmt: skip
    """Break a stage's service down into operators.

    \b
    Example:
      harness profile scenarios/resnet18_cpu.yaml
      harness profile scenarios/resnet18_cpu.yaml --alone --trace operators.json
      harness profile scenarios/resnet18_cpu.yaml --stage preprocess --flame preprocess.html

    Some calls are timed as they are, as many with torch.profiler or the profiler of ONNX Runtime or OpenVINO, and with
    --flame as many with pyinstrument. A profiler slows calls down, so nothing is saved as a measurement.
    """
    from harness import store
    from harness.commands import output
    from harness.errors import ScenarioError
    from harness.report.live import run as live
    from harness.report.screens import profile as report
    from harness.studies.planning import check_here, plan_of, with_line
    from harness.studies.profile import Files, profile, stage_of

    output.check_json(json_to)
    path, plan = plan_of(scenario, overrides)
    check_here(path, plan, overrides)
    stage = stage_of(plan, name)
    try:
        with live.view(plan, quiet=json_to == "-" or not under_load) as observe:
            found, error = profile(plan, stage, calls, Files(trace, flame), alone=not under_load, observe=observe)
    except ScenarioError as refused:
        raise with_line(refused, path, overrides) from None
    text = store.to_json({"schema_version": SCHEMA_VERSION, **asdict(found)})
    unwritten = None
    if json_to == "-":
        output.say(text)
    else:
        report.show(output.screen(), found, top)
        unwritten = output.write_json(json_to, text, "result") if json_to else None
    failed = error or unwritten
    if failed is not None:
        raise failed
