"""`harness simulate`: what theory and the twin predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.studies.predict.document import OneStageResult, WhatIfResult
    from harness.studies.predict.forecast import Effort


class _Quantity(click.ParamType):  # type: ignore[type-arg]
    """A duration or a rate, as scenarios write them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        from harness.units import parse_duration, parse_rate

        if isinstance(value, float):
            return value
        try:
            return parse_rate(value) if self.name == "rate" else parse_duration(value) / 1e9
        except ValueError as error:
            self.fail(f"{value!r} is not {error}", param, context)


TIME, RATE = _Quantity("time"), _Quantity("rate")


@click.command("simulate")
@click.argument("scenario", type=click.Path(path_type=Path), required=False)
@click.option("--from", "reference", metavar="RUN", help="Take the service times from a saved run.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="What would be if this key were set; repeatable."
)
@options.vary("Predict for each value.", former=["--sweep"])
@click.option("--service", type=TIME, help="Mean service time of one stage, instead of a scenario.")
@click.option("--rate", type=RATE, help="Poisson arrivals at it, such as 30/s.")
@click.option("--servers", type=click.IntRange(1, 256), default=1, show_default=True, help="Its workers.")
@click.option(
    "--cv",
    type=click.FloatRange(0, 20),
    default=1.0,
    show_default=True,
    help="Coefficient of variation of its service: 0 constant, 1 exponential.",
)
@click.option(
    "--capacity",
    type=click.IntRange(1, 16384),
    default=16,
    show_default=True,
    help="Requests that may wait and be served; others wait outside.",
)
@click.option("--shed", is_flag=True, help="Drop requests that find it full.")
@click.option("--batch", type=click.IntRange(1, 4096), default=1, show_default=True, help="Largest batch.")
@click.option("--timeout", type=TIME, default="0ms", show_default=True, help="How long a batch waits to fill.")
@click.option(
    "--adds",
    type=TIME,
    default="0ms",
    show_default=True,
    help="What each further request of a batch adds to its service.",
)
@click.option(
    "--requests", type=click.IntRange(1000), default=20_000, show_default=True, help="Simulated requests a replication."
)
@click.option("--replications", type=click.IntRange(2, 1000), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@options.out()
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the curve (PNG, SVG or PDF).")
def command(
    scenario: Path | None, reference: str | None, overrides: tuple[str, ...], vary: tuple[str, ...],
    json_to: str | None, plot: Path | None, out: Path, requests: int, replications: int, seed: int, **stage: Any,
) -> None:  # fmt: skip
    """Predict latencies without running anything.

    \b
    Example:
      harness simulate --service 20ms --rate 30/s --servers 2 --cv 0.3
      harness simulate scenarios/mm1.yaml --set load.rate=200/s
      harness simulate scenarios/resnet18_cpu.yaml --from last --set stages.inference.workers=2
      harness simulate scenarios/resnet18_cpu.yaml --from last --vary load.rate=4..20/2/s --plot p99.svg

    Give the options of one stage, or a scenario. A delay stage has the service times that the scenario gives it; those
    of all other stages come from a measured run (--from). The load stays the same unless --set or --vary changes it.
    """
    from harness.commands import output
    from harness.studies.predict.forecast import Effort

    output.check_json(json_to)
    effort = Effort(requests=requests, replications=replications, seed=seed)
    if scenario is None:
        for name, value in (("--from", reference), ("--set", overrides), ("--vary", vary)):
            if value:
                raise UsageError(f"{name} goes with a scenario", hint="harness simulate SCENARIO " + name + " ...")
        result: OneStageResult | WhatIfResult = _one_stage(stage, effort)
    else:
        for name in ("service", "rate"):
            if stage[name] is not None:
                raise UsageError(
                    f"--{name} describes one stage and does not go with a scenario",
                    hint="Use --set load.rate=30/s." if name == "rate" else "Leave out one of the two.",
                )
        result = _scenario(scenario, reference, overrides, vary, out, effort)
    _deliver(result, json_to, plot)


def _one_stage(stage: dict[str, Any], effort: Effort) -> OneStageResult:
    from harness.studies.predict.quick import one_stage
    from harness.studies.predict.stage import OneStage

    if stage["service"] is None or stage["rate"] is None:
        raise UsageError(
            "a scenario is missing, or --service and --rate of one stage",
            hint="harness simulate --service 20ms --rate 30/s",
        )
    if stage["service"] <= 0:
        raise UsageError("a service takes longer than 0", where="--service")
    if stage["batch"] > stage["capacity"]:
        raise UsageError(
            f"a batch of {stage['batch']} does not fit into a capacity of {stage['capacity']}",
            where="--batch",
            hint=f"Use --capacity {stage['batch']} or more.",
        )
    given = OneStage(
        service_s=stage["service"],
        rate_rps=stage["rate"],
        servers=stage["servers"],
        cv=stage["cv"],
        capacity=stage["capacity"],
        shed=stage["shed"],
        batch_max=stage["batch"],
        timeout_s=stage["timeout"],
        adds_s=stage["adds"],
    )
    return one_stage(given, effort)


def _scenario(
    scenario: Path, reference: str | None, overrides: tuple[str, ...], vary: tuple[str, ...], out: Path, effort: Effort
) -> WhatIfResult:
    from harness import store
    from harness.scenario import find, load, parse_axes
    from harness.studies.predict import whatif

    axes = parse_axes(vary)
    loaded = load(find(scenario))
    source = whatif.Source.of(store.find(reference, out)) if reference is not None else None
    return whatif.ask(loaded, overrides, source, effort, axes)


def _deliver(result: OneStageResult | WhatIfResult, json_to: str | None, plot: Path | None) -> None:
    from harness import store
    from harness.commands import output
    from harness.report.plots import simulate as plots
    from harness.report.screens import simulate as screen

    if plot is not None:
        plots.save(result, plot)
    text = store.to_json(result.as_json())
    if json_to == "-":
        output.say(text)
        return
    screen.show(output.screen(), result)
    unwritten = None if json_to is None else output.write_json(json_to, text, "result")
    if unwritten is not None:
        raise unwritten
