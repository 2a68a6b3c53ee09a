"""The screen of `harness profile`: the operators that take longest."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, significant
from harness.report.console import new_table
from harness.report.figures import WIDEST
from harness.studies.profile import Profile

BAR = 20


def show(console: Console, found: Profile, top: int) -> None:
    """Print the operators that take longest; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    how = "under its load" if found.mode == "under load" else "alone"
    console.print(Text.assemble((found.scenario, "bold"), f"  stage {found.stage}, {how}: no measurement, not saved"))
    workers = f" of {found.workers} workers" if found.workers > 1 else ""
    sampled = f"{found.calls} calls{workers} with {found.requests} requests, by {found.source or 'no profiler'}"
    plain = f"{ms(found.plain_ms)} ms, " if found.plain_ms is not None else ""
    took = f"a call takes {plain}{ms(found.profiled_ms)} ms with the profiler on, on average"
    console.print(Text(f"{sampled}; {took}", style="dim"), "", sep="\n")
    if not found.operators:
        console.print("It calls no operators that the profiler knows. --flame FILE shows its Python code.")
        return
    console.print(_table(console, found, top))


def _table(console: Console, found: Profile, top: int) -> Table:
    table = new_table(2)
    devices = len({row.device for row in found.operators}) > 1
    table.add_column("operator", overflow="ellipsis", no_wrap=True, ratio=1)
    for name in (*(["device"] if devices else []), "a call", "self ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    mark = "#" if console.options.ascii_only else "█"
    shown, rest = found.operators[:top], found.operators[top:]
    lines = [(row.name, row.device, row.count, row.self_ms, row.share) for row in shown]
    if rest:
        shares = [sum(values) for values in zip(*((row.count, row.self_ms, row.share) for row in rest), strict=True)]
        lines.append((f"{len(rest)} others", "", *shares))
    for name, device, count, self_ms, share in lines:
        bar = Text(mark * round(BAR * share), style="cyan")
        cells = (*([device] if devices else []), significant(count), ms(self_ms), f"{share:.1%}")
        table.add_row(name, *cells, bar)
    skip = ["", "", ""] if devices else ["", ""]
    bar = Text(mark * round(BAR * found.outside), style="dim")
    table.add_row(Text("outside operators", style="dim"), *skip, f"{found.outside:.1%}", bar)
    return table
