"""`harness capacity`: the highest load that keeps an SLO."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import interruption
from harness.commands import options
from harness.errors import NOT_MET, ScenarioError, UsageError

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.studies.capacity import Configuration, Finding, Measure, RunResult


@click.command("capacity")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--slo", "limits", multiple=True, metavar="STAT=TIME", help="A limit, such as p99=150ms; repeatable.")
@click.option("--over", multiple=True, metavar="KEY=A,B,...", help="A key to vary, and its values; repeatable.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any other key; repeatable.")
@click.option(
    "--within",
    type=options.Share(0.001, 0.5),
    default="5%",
    show_default=True,
    help="Half width of the answer's interval.",
)
@click.option("--budget", metavar="TIME", help="Time after which no run is begun, such as 10min.")
@click.option("--run-length", default="20s", show_default=True, metavar="TIME", help="Of the first measured runs.")
@options.out("the runs and the answer are")
@click.option("--json", "json_to", metavar="PATH", help="Write the answer as JSON to a file, or to - and nothing else.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the curve (PNG, SVG or PDF).")
@click.option("--quiet", "-q", is_flag=True, help="No progress: only the answer.")
def command(
    scenario: Path, limits: tuple[str, ...], over: tuple[str, ...], overrides: tuple[str, ...], within: float,
    budget: str | None, run_length: str, out: Path, json_to: str | None, plot: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Find the highest load that keeps an SLO, and the configuration that carries it.

    \b
    Example:
      harness capacity scenarios/resnet18_cpu.yaml --slo p99=150ms
      harness capacity scenarios/resnet18_cpu.yaml --slo p99=150ms --slo mean=60ms --budget 10min \\
        --over stages.inference.batch.max=1,2,4,8 --over stages.inference.workers=1,2

    Short runs calibrate the twin, which says which configurations and rates are worth measuring; measured runs
    decide. Without --slo the scenario's own holds. Ends with exit code 3 when no load keeps it, or when the interval
    is still wider than --within. Ctrl-C ends the search and shows what was found.
    """

    from harness.commands import output
    from harness.report.console import Screen
    from harness.report.screens import capacity as report
    from harness.studies import capacity

    output.check_json(json_to)
    configurations = _configurations(scenario, over, overrides)
    goal = capacity.Goal(
        limits=capacity.limits_of(configurations[0].plan.scenario, limits),
        within=within,
        run_s=_seconds("--run-length", run_length),
        budget_s=float("inf") if budget is None else _seconds("--budget", budget),
    )
    console = Screen(stderr=True, quiet=quiet)
    finding = capacity.find(
        configurations,
        goal,
        _measure(scenario, overrides, out, quiet),
        out,
        lambda state, step: report.progress(console, state, step),
    )
    _deliver(finding, json_to, plot)
    if finding.error is not None:
        raise finding.error
    if finding.state.signal:
        raise SystemExit(interruption.exit_code(finding.state.signal))
    if finding.state.status != "answered" or not finding.answer["attainable"]:
        raise SystemExit(NOT_MET)


def _configurations(scenario: Path, over: Sequence[str], overrides: Sequence[str]) -> list[Configuration]:
    """Every one planned, so that none turns out to be impossible later. Raises UsageError."""
    from harness.studies import capacity
    from harness.studies.planning import plan_of

    capacity.check_settings(overrides)
    points = capacity.grid(over)
    found = []
    for settings in points:
        plan = plan_of(scenario, (*overrides, *settings))[1]
        capacity.check_load(plan)
        found.append(capacity.Configuration(settings, plan))
    return found


def _measure(scenario: Path, overrides: Sequence[str], out: Path, quiet: bool) -> Measure:
    """Run a Plan on its executor and save it as any other run."""
    from harness.report.live import run as live
    from harness.scenario import find
    from harness.studies import capacity
    from harness.studies.planning import with_line
    from harness.studies.run.measure import measure

    path = find(scenario)
    text = path.read_text(encoding="utf-8")

    def run(plan: Plan, settings: Sequence[str]) -> RunResult:
        every = (*overrides, *settings)
        given = "".join(f"# --set {setting}\n" for setting in every) + text
        with live.view(plan, quiet=quiet or not sys.stderr.isatty()) as observe:
            done = measure(plan, given, out, observe)
        if done.save_error is not None:
            raise done.save_error
        execution = done.execution
        error, summary = done.error, done.summary or {}
        if isinstance(error, ScenarioError):
            error = with_line(error, path, every)
        stopped = execution.signal if execution.status == "interrupted" else 0
        return capacity.RunResult(execution.records, summary, summary.get("saved", ""), error, stopped)

    return run


def _deliver(finding: Finding, json_to: str | None, plot: Path | None) -> None:
    """The screen, the plot and the file of the answer. Raises SaveError."""
    from harness import store
    from harness.commands import output
    from harness.report.screens import capacity as report

    text = store.to_json(finding.answer)
    if json_to == "-":
        output.say(text)
    else:
        report.show(output.screen(), finding.answer)
    if plot is not None:
        report.plot(finding.answer, plot)
    unwritten = output.write_json(json_to, text, "answer") if json_to not in (None, "-") else None
    if unwritten is not None:
        raise unwritten


def _seconds(option: str, text: str) -> float:
    from harness.units import parse_duration

    try:
        value = parse_duration(text) / 1e9
    except ValueError as error:
        raise UsageError(f"expected {error}", where=f"{option} {text}") from None
    if value < 1:
        raise UsageError("expected at least 1 s", where=f"{option} {text}")
    return value
