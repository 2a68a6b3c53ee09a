"""`harness capacity`: the highest load that keeps an SLO."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import interruption
from harness.commands import options
from harness.errors import NOT_MET

if TYPE_CHECKING:
    from harness.studies.capacity import CapacityResult


@click.command("capacity")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--slo", "limits", multiple=True, metavar="STAT=TIME", help="A limit, such as p99=150ms; repeatable.")
@options.vary("A key to choose, and its values.", former=["--over"])
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any other key; repeatable.")
@click.option(
    "--within",
    type=options.Share(0.001, 0.5),
    default="5%",
    show_default=True,
    help="Half the width of the interval on the result.",
)
@click.option(
    "--time-limit",
    cls=options.Renamed,
    former=["--budget"],
    metavar="TIME",
    help="Time after which no run begins, such as 10min.",
)
@click.option(
    "--run-length", default="20s", show_default=True, metavar="TIME", help="Length of the first measured runs."
)
@options.out("the runs and the result are")
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the curve (PNG, SVG or PDF).")
@click.option("--quiet", "-q", is_flag=True, help="No progress: only the result.")
def command(
    scenario: Path, limits: tuple[str, ...], vary: tuple[str, ...], overrides: tuple[str, ...], within: float,
    time_limit: str | None, run_length: str, out: Path, json_to: str | None, plot: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Find the highest load that keeps an SLO, and the variant of the scenario that carries it.

    \b
    Example:
      harness capacity scenarios/resnet18_cpu.yaml --slo p99=150ms
      harness capacity scenarios/resnet18_cpu.yaml --slo p99=150ms --slo mean=60ms --time-limit 10min \\
        --vary stages.inference.batch.max=1,2,4,8 --vary stages.inference.workers=1,2

    Short runs teach the twin the service times; the twin says which variants and rates are worth measuring; measured
    runs decide. Without --slo the scenario's own limits hold. Exit code 3: no load keeps the SLO, or the interval is
    still wider than --within. Ctrl-C ends the search and shows what was found.
    """
    from harness.api.searching import seconds
    from harness.commands import output
    from harness.report.console import Screen
    from harness.report.live import run as live
    from harness.report.live.capacity import progress
    from harness.scenario import find, parse_axes
    from harness.studies import capacity
    from harness.studies.capacity.measured import measuring

    output.check_json(json_to)
    variants = capacity.variants(find(scenario), overrides, parse_axes(vary))
    goal = capacity.Goal(
        limits=capacity.limits_of(variants[0].plan.scenario, limits),
        within=within,
        run_s=seconds("--run-length", run_length),
        time_limit_s=float("inf") if time_limit is None else seconds("--time-limit", time_limit),
    )
    console = Screen(stderr=True, quiet=quiet)
    unseen = quiet or not sys.stderr.isatty()
    measure = measuring(find(scenario), overrides, out, lambda plan: live.view(plan, quiet=unseen))
    finding = capacity.find(variants, goal, measure, out, lambda state, step: progress(console, state, step))
    _deliver(finding.result, json_to, plot)
    if finding.error is not None:
        raise finding.error
    if finding.state.signal:
        raise SystemExit(interruption.exit_code(finding.state.signal))
    if finding.state.status != "answered" or not finding.result.attainable:
        raise SystemExit(NOT_MET)


def _deliver(result: CapacityResult, json_to: str | None, plot: Path | None) -> None:
    """The screen, the plot and the JSON of the result. Raises UsageError, SaveError."""
    from harness import store
    from harness.commands import output
    from harness.report.plots import capacity as plots
    from harness.report.screens import capacity as screen

    text = store.to_json(result.as_json())
    if json_to == "-":
        output.say(text)
    else:
        screen.show(output.screen(), result)
    if plot is not None:
        plots.save(result, plot)
    unwritten = output.write_json(json_to, text, "result") if json_to not in (None, "-") else None
    if unwritten is not None:
        raise unwritten
