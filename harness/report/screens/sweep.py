"""The screen of a sweep: a line for each variant."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, rate
from harness.report.console import new_table
from harness.report.figures import first_line
from harness.studies.predict.document import Forecast
from harness.studies.sweep.axes import label, short_names
from harness.studies.sweep.document import SweepResult, TwinResult, VariantResult

TOO_FEW = "too few requests"
WIDEST = 120
LEAST_NEEDED = ("p90", "batch", "offered", "busiest")
"""Columns in the order in which a narrow screen loses them."""


def show(console: Console, sweep: SweepResult) -> None:
    """Print a sweep; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    console.print(_title(sweep), soft_wrap=True)
    for axis in sweep.axes:
        console.print(Text(f"  {axis.key} = {', '.join(map(str, axis.values))}", style="dim"), soft_wrap=True)
    console.print(Text("  e2e latency in ms; the interval is that of p99", style="dim"), "", sep="\n")
    without = [] if any(variant.offered_rps for variant in sweep.variants) else ["offered"]
    for name in ("", *LEAST_NEEDED):
        without.append(name)
        table = _variants(console, sweep, without)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    console.print(table)
    notes = _notes(sweep)
    if notes.row_count:
        console.print("", notes, sep="\n")
    console.print(Text(f"\nSaved in {sweep.folder}: table.csv, table.parquet, plots/", style="dim"), soft_wrap=True)


def _title(sweep: SweepResult) -> Text:
    count = len(sweep.variants)
    parts = [f"{count} variants" if count != 1 else "1 variant"]
    if sweep.repeats > 1:
        parts.append(f"{sweep.repeats} repeats")
    done, wanted = sweep.trials.completed, sweep.trials.wanted
    parts.append("all completed" if done == wanted else f"{done} of {wanted} runs completed")
    return Text.assemble((sweep.scenario, "bold"), (f"  {', '.join(parts)}", "yellow" if done < wanted else "dim"))


def _variants(console: Console, sweep: SweepResult, without: Sequence[str]) -> Table:
    names, twin = short_names(sweep.keys), sweep.twin
    to = ".." if console.options.ascii_only else "…"
    limited = any(variant.slo_met is not None for variant in sweep.variants)
    columns = ["offered", "completed", "p50", "p90", "p99", "95 % interval"]
    columns += [*(["twin p99", "apart"] if twin else []), "busiest", "batch", *(["SLO"] if limited else [])]
    shown = [column for column in columns if column not in without]
    table = new_table()
    table.add_column("")
    for name in (*names.values(), *shown):
        table.add_column(name, justify="left" if name == "busiest" else "right", no_wrap=True)
    for variant in sweep.variants:
        figures = _figures(variant, sweep.forecast(variant), to)
        front, learnt = variant.number in sweep.front, twin is not None and variant.number in twin.learnt_from
        mark = Text(("*" if front else "") + ("c" if learnt else ""))
        values = (Text(str(variant.values[key])) for key in sweep.keys)
        table.add_row(mark, *values, *(figures[name] for name in shown), style="bold" if front else "")
    return table


def _figures(variant: VariantResult, twin: Forecast | None, to: str) -> dict[str, Text]:
    """The text of every column, except those of the varied keys."""
    e2e, batch, busy = variant.e2e_ms, variant.batch_size, variant.utilisation
    quantiles = {"p50": e2e.p50, "p90": e2e.p90, "p99": e2e.p99}
    return {
        "offered": Text(_rate(variant.offered_rps)),
        "completed": Text(_rate(variant.throughput_rps)),
        **{key: Text(ms(value) if value is not None else "") for key, value in quantiles.items()},
        "95 % interval": _interval(variant, to),
        **_predicted(twin, e2e.p99),
        "busiest": Text("" if busy is None else f"{variant.busiest} {min(busy, 1.0):.0%}"),
        "batch": Text("" if batch is None else f"{batch:.1f}"),
        "SLO": Text({True: "met", False: "missed", None: ""}[variant.slo_met]),
    }


def _interval(variant: VariantResult, to: str) -> Text:
    """The interval on p99, or why there is none."""
    if variant.verdict in ("saturated", "failed", "interrupted", "not run"):
        return Text(variant.verdict, style="yellow")
    e2e = variant.e2e_ms
    if e2e.p99_interval is None:
        return Text(TOO_FEW, style="dim")
    lo, hi = e2e.p99_interval
    return Text(f"{ms(lo)} {to} {ms(hi)}{' r' if e2e.p99_interval_from == 'repeats' else ''}")


def _predicted(twin: Forecast | None, p99: float | None) -> dict[str, Text]:
    if twin is None:
        return {"twin p99": Text(""), "apart": Text("")}
    predicted = twin.e2e_ms["p99"]
    if predicted is None:
        return {"twin p99": Text("saturated", style="yellow"), "apart": Text("")}
    apart = "" if p99 is None else f"{predicted / p99 - 1:+.0%}"
    return {"twin p99": Text(ms(predicted)), "apart": Text(apart)}


def _notes(sweep: SweepResult) -> Table:
    notes = Table.grid(padding=(0, 1))
    if sweep.front:
        notes.add_row(Text("*", style="bold"), "Pareto front: no other variant completes more at a lower p99")
    if any(variant.e2e_ms.p99_interval_from == "repeats" for variant in sweep.variants):
        text = "from the p99s of the repeats (Student's t), for runs of this length: longer ones have a higher p99"
        notes.add_row("r", text)
    if sweep.twin is not None:
        notes.add_row("c", _score(sweep.twin))
    for variant in sweep.variants:
        if variant.reason:
            where = label(variant.values)
            notes.add_row(Text("!", style="yellow"), Text(f"{where} failed: {first_line(variant.reason)}"))
    if any(_interval(variant, "").plain == TOO_FEW for variant in sweep.variants):
        notes.add_row("", f"{TOO_FEW} for an interval: such a p99 is more often too low than too high")
    for text in (*sweep.notes, *(sweep.twin.warnings if sweep.twin else ())):
        notes.add_row(Text("!", style="yellow"), Text(text))
    return notes


def _score(twin: TwinResult) -> str:
    score = twin.score
    learnt = "the twin learnt from these variants"
    if not score.variants:
        return f"{learnt}; there is no other one to score it on"
    within = f", inside the measured interval in {score.within} of {score.intervals}" if score.intervals else ""
    return f"{learnt}; in the {score.variants} others its p99 is {score.median_apart:.0%} off (median){within}"


def _rate(value: float | None) -> str:
    return "" if value is None else rate(value)
