"""`harness run`: execute a scenario, save it, show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import interruption
from harness.commands import options, output
from harness.errors import NOT_MET, SaveError, ScenarioError

if TYPE_CHECKING:
    from harness.store import SavedRun
    from harness.summary import Summary


@click.command("run")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any key of the scenario; repeatable.")
@click.option("--requests", type=click.IntRange(min=1), help="Short for --set load.requests=N.")
@options.out("the run is")
@click.option(
    "--json", "json_to", metavar="PATH", help="Write the summary as JSON to a file, or to - and nothing else."
)
@click.option("--quiet", "-q", is_flag=True, help="No live view and no screen: only where the run was saved.")
@click.option("--report", is_flag=True, help="Make the HTML report too, in the run's folder; see harness report.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve live metrics for Prometheus on 127.0.0.1 while the run lasts; 0 takes a free port.",
)
def command(
    scenario: Path, overrides: tuple[str, ...], requests: int | None, out: Path, json_to: str | None, quiet: bool,
    report: bool, metrics_port: int | None,
) -> None:  # fmt: skip
    """Run a scenario: the real pipeline, measured request by request.

    \b
    Example:
      harness run scenarios/resnet18_cpu.yaml
      harness run scenarios/resnet18_cpu.yaml --set stages.preprocess.backend=torchvision --set load.rate=20/s
      harness run scenarios/resnet18_cpu.yaml --requests 2000 --json - | jq .e2e_ms

    SCENARIO is a file, or the name of one in ./scenarios or of one that comes with the tool. The live view goes to
    standard error, the result to standard output. The run is saved also when it fails or is interrupted with Ctrl-C.
    """
    from harness.commands import output
    from harness.report.live import run as live
    from harness.studies.planning import check_here, plan_of, with_line
    from harness.studies.run.measure import measure

    output.check_json(json_to)
    settings = (*overrides, f"load.requests={requests}") if requests else overrides
    path, plan = plan_of(scenario, settings)
    check_here(path, plan, settings)
    given = "".join(f"# --set {s}\n" for s in settings) + path.read_text(encoding="utf-8")
    metrics = None
    if metrics_port is not None:
        from harness.report.exports import prometheus

        metrics = click.get_current_context().with_resource(prometheus.endpoint(plan, metrics_port))
        output.tell(f"metrics on {metrics.url}")
    with live.view(plan, quiet=quiet) as observe:
        measured = measure(plan, given, out, metrics.tee(observe) if metrics else observe)
    execution = measured.execution
    if metrics is not None and not measured.signal:
        metrics.finish(execution.records)
    if isinstance(execution.error, ScenarioError):
        raise with_line(execution.error, path, settings)
    unwritten = None
    if measured.summary is not None:
        unwritten = _deliver(measured.summary, json_to, quiet)
        if report and measured.saved is not None:
            unwritten = _report(measured.saved) or unwritten
    if execution.error is not None and execution.error.details and measured.saved is not None:
        output.tell(f"Details are in {measured.saved.path / 'failure.txt'}")
    errors = [e for e in (unwritten, measured.save_error, measured.summary_error, execution.error) if e is not None]
    for error in errors[:-1]:  # the weightiest is told last, and decides the exit code
        output.tell(f"error: {error}")
    if errors:
        raise errors[-1]
    if measured.signal:
        raise SystemExit(interruption.exit_code(measured.signal))
    if measured.summary is not None and any(not row.met for row in measured.summary.slo):
        raise SystemExit(NOT_MET)


def _report(saved: SavedRun) -> SaveError | None:
    """Make the run's report; returns why it could not be written."""
    from harness.report.html.files import write_report

    try:
        output.tell(f"Report in {write_report([saved])}")
    except SaveError as error:
        return error
    return None


def _deliver(summary: Summary, json_to: str | None, quiet: bool) -> SaveError | None:
    """Show the run and write its summary; returns why the summary could not be written."""
    from harness import store
    from harness.commands import output

    if json_to == "-":
        output.say(store.to_json(summary))
        return None
    if quiet:
        output.say(summary.saved or "")
    else:
        from harness.report.screens import run as terminal

        # An error is told once, at the end.
        terminal.show(output.screen(), summary.model_copy(update={"error": None}))
    return None if json_to is None else output.write_json(json_to, store.to_json(summary), "summary")
