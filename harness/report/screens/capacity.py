"""The screen of a search for the capacity: the highest rate, the variants, the runs of the best one, what they say."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, rate, significant
from harness.report.console import new_table
from harness.report.figures import WIDEST, first_line
from harness.studies.capacity.document import CapacityResult, MeasuredRun, SloLimit, VariantCapacity

VERDICTS = {"met": "green", "not met": "red", "undecided": "yellow", "best": "bold green", "failed": "red"}
ROOMY = 96
"""Columns from which on tables are spaced out."""


def show(console: Console, result: CapacityResult) -> None:
    """Print a result; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    gap = 2 if console.width >= ROOMY else 1
    title = Text.assemble((f"capacity of {result.scenario}", "bold"), f"  {result.slo_text}")
    console.print(title, _headline(result), "", sep="\n")
    console.print(_variants(result.variants, gap), "", sep="\n")
    for variant in result.variants:
        if variant.failed is not None:
            console.print(Text(f"{variant.name}: {first_line(variant.failed)}", style="red"))
    shown = result.shown
    if shown is not None:
        console.print(Text(f"Runs of {shown.name}", style="bold"), _runs(shown.runs, result.slo, gap), "", sep="\n")
    bullet = "-" if console.options.ascii_only else "•"
    sentences = Table.grid(padding=(0, 1))
    for sentence in result.findings:
        sentences.add_row(Text(bullet, style="dim"), Text(sentence))
    console.print(sentences)
    spent = f"\n{result.measured_s:.0f} s under load, {result.elapsed_s:.0f} s in all."
    saved = f" Saved in {result.saved}" if result.saved else ""
    console.print(Text(spent + saved, style="dim"), soft_wrap=True)


def _headline(result: CapacityResult) -> Text:
    found = result.highest
    if found is None:
        return Text("no load keeps it" if result.attainable is False else "not known yet", style="bold yellow")
    lo, hi = found.interval_rps
    exact = f"  95 % interval {significant(lo)} … {rate(hi)} (± {found.half_width:.1%})"
    style = "bold green" if result.status == "answered" else "bold yellow"
    return Text.assemble((rate(found.rate_rps), style), exact)


def _variants(variants: Sequence[VariantCapacity], gap: int) -> Table:
    """The best first, the failed last."""
    table = _table(gap, "variant", "predicted", "measured", "95 % interval", "")
    for variant in sorted(
        variants, key=lambda v: (v.verdict == "failed", -(v.measured_rps or 0), -(v.predicted_rps or 0))
    ):
        interval = variant.interval_rps
        table.add_row(
            Text(variant.name, overflow="fold"),
            rate(variant.predicted_rps),
            rate(variant.measured_rps),
            f"{significant(interval[0])} … {rate(interval[1])}" if interval and interval[1] else "",
            Text(variant.verdict, style=VERDICTS.get(variant.verdict, "dim")),
        )
    return table


def _runs(runs: Sequence[MeasuredRun], slo: Sequence[SloLimit], gap: int) -> Table:
    """Runs by rate. Of several limits the worst one counts, and figures are shares of it."""
    one = len(slo) == 1
    name = f"{slo[0].limit}, ms" if one else "of the SLO"
    table = _table(gap, "rate", "requests", name, "95 %", "long run", "95 %", "verdict", "capacity")
    table.columns[6].justify = "left"

    def figure(excess: float | None) -> str:
        if excess is None:
            return "-"
        return ms(excess * slo[0].limit_ms) if one else f"{excess:.0%}"

    def ends(interval: tuple[float | None, float | None]) -> str:
        return f"{figure(interval[0])} … {figure(interval[1])}"

    for run in sorted(runs, key=lambda run: run.rate_rps):
        without = "grows" if run.saturated else "too few"
        table.add_row(
            Text(rate(run.rate_rps), style="dim" if run.purpose == "calibrate" else ""),
            f"{run.requests:,}",
            "infinite" if run.measured is None else figure(run.measured),
            Text(without if run.interval is None else ends(run.interval), style="dim"),
            Text(figure(run.long_run), style="bold"),
            Text("" if run.long_run is None else ends(run.long_run_interval), style="dim"),
            Text(run.verdict, style=VERDICTS[run.verdict]),
            rate(run.highest_rps) if run.highest_rps else "none",
        )
    return table


def _table(gap: int, *names: str) -> Table:
    table = new_table(gap)
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index == 0 or not name else "right", no_wrap=index > 0)
    return table
