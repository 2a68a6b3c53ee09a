"""The screen of `harness simulate`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, rate
from harness.report.console import new_table
from harness.report.figures import WIDEST
from harness.studies.predict.document import (
    ClosedForm,
    CurvePoint,
    Forecast,
    MeasuredRun,
    OneStageResult,
    VariedForecasts,
    WhatIfResult,
)

LABELS = ("mean", "p50", "p90", "p99")
BAR = 30


def show(console: Console, result: OneStageResult | WhatIfResult) -> None:
    """Print a prediction; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    if isinstance(result, OneStageResult):
        _one_stage(console, result)
    else:
        _scenario(console, result)
    warnings = Table.grid(padding=(0, 1))
    for warning in result.warnings:
        warnings.add_row(Text("!", style="yellow"), Text(warning))
    if result.warnings:
        console.print("", warnings, sep="\n")


# ------------------------------------------------------------------ one stage


def _one_stage(console: Console, result: OneStageResult) -> None:
    given = result.given
    servers = f"{given.servers} servers" if given.servers > 1 else "1 server"
    batch = f", batches of up to {given.batch_max}" if given.batch_max > 1 else ""
    head = f"  {rate(given.rate_rps)} are offered; {servers}{batch} can carry {rate(result.saturated_rps)}"
    console.print(Text.assemble((f"Utilisation {result.utilisation:.1%}", "bold"), head))
    console.print()
    if result.simulated.steady:
        console.print(_both(result.theory, result.simulated))
    else:
        console.print(_no_steady_state(result.simulated))
    console.print()
    console.print(_curve(console, result.curve, result.utilisation))


def _both(theory: ClosedForm | None, simulated: Forecast) -> Table:
    table = _table("e2e latency, ms", *LABELS)
    if theory is None:
        table.add_row(Text("no closed form", style="dim"))
    elif theory.e2e_ms is None:
        table.add_row(theory.text)
    else:
        table.add_row(theory.model, *(ms(theory.e2e_ms[key]) for key in LABELS))
        table.add_row(Text(f"  {theory.kind}", style="dim"))
    table.add_row(Text("simulated", style="bold"), *(Text(ms(simulated.e2e_ms[key]), style="bold") for key in LABELS))
    table.add_row(Text("  95 % interval", style="dim"), *(_half(simulated.interval_ms[key]) for key in LABELS))
    if simulated.dropped:
        exact = f", exactly {theory.loss:.2%}" if theory and theory.loss else ""
        table.add_row(Text(f"  dropped {simulated.dropped:.2%}{exact}", style="dim"))
    return table


def _curve(console: Console, curve: Sequence[CurvePoint], now: float) -> Table:
    """p99 over utilisation: the bars show why the last few percent cost so much."""
    formula = [point.theory.e2e_ms["p99"] if point.theory and point.theory.e2e_ms else None for point in curve]
    closed = any(formula)
    names = ["utilisation", "rate", *(["formula"] if closed else []), "simulated", "95 %", ""]
    table = _table(*names)
    table.title, table.title_justify = Text("p99 over utilisation, ms", style="bold"), "left"
    simulated = [point.simulated.e2e_ms["p99"] or 0.0 for point in curve]
    mark = "#" if console.options.ascii_only else "█"
    for point, exact, p99 in zip(curve, formula, simulated, strict=True):
        bar = mark * max(1, round(min(BAR, max(8, console.width - 56)) * p99 / max(simulated)))
        table.add_row(
            f"{point.utilisation:.0%}",
            rate(point.rate_rps),
            *([ms(exact)] if closed else []),
            ms(p99),
            _half(point.simulated.interval_ms["p99"]),
            Text(bar, style="cyan" if point.utilisation <= now else "dim cyan"),
        )
    return table


# ------------------------------------------------------------------ a scenario


def _scenario(console: Console, result: WhatIfResult) -> None:
    base, other, measured = result.baseline, result.what_if, result.measured
    source = f"  service times of {result.run}" if result.run else "  service times as the scenario gives them"
    console.print(Text.assemble((result.scenario, "bold"), (source, "dim")), soft_wrap=True)
    if result.overrides:
        console.print(Text.assemble(("what if  ", "dim"), "  ".join(result.overrides)), soft_wrap=True)
    console.print()
    columns = [("twin", base)] + ([("what if", other)] if other else [])
    table = _table(
        "e2e latency, ms", *(["measured"] if measured else []), *(n for n, _ in columns), *(["change"] if other else [])
    )
    for key in LABELS:
        cells: list[str | Text] = [ms(measured.e2e_ms[key])] if measured else []
        cells += [Text(ms(f.e2e_ms[key]), style="bold" if key == "p99" else "") for _, f in columns]
        if result.difference is not None:
            cells.append(_change(result.difference[key]))
        table.add_row(Text(key, style="bold"), *cells)
        _intervals(table, key, measured, [f for _, f in columns])
    skip = [""] if measured else []
    table.add_row("offered", *skip, *(rate(f.rate_rps) if f.rate_rps else "closed" for _, f in columns))
    table.add_row("completed", *skip, *(rate(f.throughput_rps) for _, f in columns))
    table.add_row("saturated", *skip, *(rate(f.saturated_rps) for _, f in columns))
    if any(f.dropped for _, f in columns):
        table.add_row("dropped", *skip, *(f"{f.dropped:.2%}" for _, f in columns))
    for name in base.stages:
        table.add_row(f"{name} busy", *skip, *(_busy(f, name) for _, f in columns))
    console.print(table)
    for name, found in columns:
        if not found.steady:
            console.print(Text.assemble((f"{name}: ", "bold"), _no_steady_state(found)))
    if result.varied is not None:
        console.print()
        console.print(_varied(result.varied))


def _intervals(table: Table, key: str, measured: MeasuredRun | None, found: Sequence[Forecast]) -> None:
    """Below a figure: how far it depends on the simulation's chance, and on the few samples of the run."""
    first = [_ends(measured.p99_interval) if key == "p99" else ""] if measured else []
    if any(f.interval_ms for f in found):
        table.add_row(Text("  simulation", style="dim"), *first, *(_half(f.interval_ms.get(key)) for f in found))
    if any(f.calibration_interval_ms for f in found):
        skip = [""] if measured else []
        table.add_row(
            Text("  service samples", style="dim"), *skip, *(_ends(f.calibration_interval_ms.get(key)) for f in found)
        )


def _varied(found: VariedForecasts) -> Table:
    table = _table(found.key, "busiest stage", "p50", "p90", "p99", "95 %")
    table.title, table.title_justify = Text("e2e latency, ms", style="bold"), "left"
    for row in found.rows:
        name = row.busiest
        if not row.steady:
            grows = Text("no steady state", style="yellow")
            table.add_row(row.value, f"{name} 100%", "", "", grows, f"+{rate(row.growth_rps)}")
            continue
        busiest = f"{name} {row.stages[name].utilisation:.0%}"
        cells = [ms(row.e2e_ms[key]) for key in ("p50", "p90", "p99")]
        table.add_row(row.value, busiest, *cells, _half(row.interval_ms["p99"]))
    return table


def _busy(found: Forecast, name: str) -> str:
    stage = found.stages[name]
    batch = f", batch {stage.batch_size:.1f}" if stage.batch_size > 1.005 else ""
    return f"{stage.utilisation:.0%}{batch}"


def _change(found: Sequence[float] | None) -> Text:
    if found is None:
        return Text("-")
    return Text(f"{found[0]:+.0%} ({found[1]:+.0%} … {found[2]:+.0%})", style="green" if found[0] < 0 else "red")


def _no_steady_state(found: Forecast) -> Text:
    return Text.assemble(
        ("no steady state", "bold yellow"),
        f": {rate(found.rate_rps)} are offered, {rate(found.saturated_rps)} can be carried;"
        f" the backlog grows by {rate(found.growth_rps)}",
    )


def _table(*names: str) -> Table:
    table = new_table()
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index == 0 or name == "" else "right", no_wrap=True)
    return table


def _ends(interval: Sequence[float | None] | None) -> Text:
    if not interval or interval[0] is None or interval[1] is None:
        return Text("")
    high = "∞" if interval[1] == float("inf") else ms(interval[1])
    return Text(f"{ms(interval[0])} … {high}", style="dim")


def _half(interval: Sequence[float] | None) -> Text:
    """A symmetric interval, by half its width."""
    return Text(f"± {ms((interval[1] - interval[0]) / 2)}" if interval else "", style="dim")
