"""The table of a sweep: a line a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.axes import label, short_names
from harness.report.figures import first_line, ms

TOO_FEW = "too few requests"
WIDEST = 120
LEAST_NEEDED = ("p90", "batch", "offered", "busiest")
"""Columns in the order in which a narrow screen loses them."""


def show(console: Console, answer: Mapping[str, Any]) -> None:
    """Print a sweep; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    keys = [axis["key"] for axis in answer["grid"]]
    console.print(_title(answer), soft_wrap=True)
    for axis in answer["grid"]:
        console.print(Text(f"  {axis['key']} = {', '.join(map(str, axis['values']))}", style="dim"), soft_wrap=True)
    console.print(Text("  e2e latency in ms; the interval is that of p99", style="dim"), "", sep="\n")
    without = [] if any(cell["offered_rps"] for cell in answer["cells"]) else ["offered"]
    for name in ("", *LEAST_NEEDED):
        without.append(name)
        table = _cells(console, answer, keys, without)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    console.print(table)
    notes = _notes(answer)
    if notes.row_count:
        console.print("", notes, sep="\n")
    console.print(Text(f"\nSaved in {answer['folder']}: table.csv, table.parquet, plots/", style="dim"), soft_wrap=True)


def _title(answer: Mapping[str, Any]) -> Text:
    trials, cells = answer["trials"], len(answer["cells"])
    parts = [f"{cells} cells" if cells != 1 else "1 cell"]
    if answer["repeats"] > 1:
        parts.append(f"{answer['repeats']} repeats")
    missing = trials["wanted"] - trials["completed"]
    parts.append("all completed" if not missing else f"{trials['completed']} of {trials['wanted']} runs completed")
    return Text.assemble((answer["scenario"], "bold"), (f"  {', '.join(parts)}", "yellow" if missing else "dim"))


def _cells(console: Console, answer: Mapping[str, Any], keys: Sequence[str], without: Sequence[str]) -> Table:
    names, twin = short_names(keys), answer["twin"]
    to = ".." if console.options.ascii_only else "…"
    limited = any(cell["slo_met"] is not None for cell in answer["cells"])
    columns = ["offered", "completed", "p50", "p90", "p99", "95 % interval"]
    columns += [*(["twin p99", "apart"] if twin else []), "busiest", "batch", *(["SLO"] if limited else [])]
    shown = [column for column in columns if column not in without]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for name in (*names.values(), *shown):
        table.add_column(name, justify="left" if name == "busiest" else "right", no_wrap=True)
    for cell in answer["cells"]:
        figures = _figures(cell, twin["by_cell"].get(cell["cell"]) if twin else None, to)
        mark = "*" if cell["cell"] in answer["front"] else "c" if twin and cell["cell"] in twin["calibrated_on"] else ""
        if mark == "*" and twin and cell["cell"] in twin["calibrated_on"]:
            mark = "*c"
        style = "bold" if "*" in mark else ""
        values = (Text(str(cell["values"][key])) for key in keys)
        table.add_row(Text(mark), *values, *(figures[name] for name in shown), style=style)
    return table


def _figures(cell: Mapping[str, Any], twin: Mapping[str, Any] | None, to: str) -> dict[str, Text]:
    """The text of every column but the grid's."""
    e2e, batch, busy = cell["e2e_ms"], cell["batch_size"], cell["utilisation"]
    return {
        "offered": Text(_rate(cell["offered_rps"])),
        "completed": Text(_rate(cell["throughput_rps"])),
        **{key: Text(ms(e2e[key]) if e2e[key] is not None else "") for key in ("p50", "p90", "p99")},
        "95 % interval": _interval(cell, to),
        **_predicted(twin, e2e["p99"]),
        "busiest": Text("" if busy is None else f"{cell['busiest']} {min(busy, 1.0):.0%}"),
        "batch": Text("" if batch is None else f"{batch:.1f}"),
        "SLO": Text({True: "met", False: "missed", None: ""}[cell["slo_met"]]),
    }


def _interval(cell: Mapping[str, Any], to: str) -> Text:
    """The interval on p99, or why there is none."""
    if cell["verdict"] in ("saturated", "failed", "interrupted", "not run"):
        return Text(cell["verdict"], style="yellow")
    if cell["e2e_ms"]["p99_ci"] is None:
        return Text(TOO_FEW, style="dim")
    lo, hi = cell["e2e_ms"]["p99_ci"]
    return Text(f"{ms(lo)} {to} {ms(hi)}{' r' if cell['e2e_ms'].get('p99_ci_from') == 'repeats' else ''}")


def _predicted(twin: Mapping[str, Any] | None, p99: float | None) -> dict[str, Text]:
    if twin is None:
        return {"twin p99": Text(""), "apart": Text("")}
    if not twin["steady"]:
        return {"twin p99": Text("saturated", style="yellow"), "apart": Text("")}
    apart = "" if p99 is None else f"{twin['e2e_ms']['p99'] / p99 - 1:+.0%}"
    return {"twin p99": Text(ms(twin["e2e_ms"]["p99"])), "apart": Text(apart)}


def _notes(answer: Mapping[str, Any]) -> Table:
    notes = Table.grid(padding=(0, 1))
    if answer["front"]:
        notes.add_row(Text("*", style="bold"), "Pareto front: no other cell completes more at a lower p99")
    if any(cell["e2e_ms"].get("p99_ci_from") == "repeats" for cell in answer["cells"]):
        notes.add_row(
            "r", "from the repeats' own p99s (Student's t): of runs of this length, longer ones have a higher p99"
        )
    twin = answer["twin"]
    if twin:
        notes.add_row("c", _score(twin))
    for cell in answer["cells"]:
        if cell["reason"]:
            where = label(cell["values"])
            notes.add_row(Text("!", style="yellow"), Text(f"{where} failed: {first_line(cell['reason'])}"))
    if any(_interval(cell, "").plain == TOO_FEW for cell in answer["cells"]):
        notes.add_row("", f"{TOO_FEW} for an interval: such a p99 is likelier too low than too high")
    for text in (*answer["notes"], *(twin["warnings"] if twin else ())):
        notes.add_row(Text("!", style="yellow"), Text(text))
    return notes


def _score(twin: Mapping[str, Any]) -> str:
    score = twin["score"]
    learnt = "the twin learnt from these cells"
    if not score["cells"]:
        return f"{learnt}; there is no other one to score it on"
    within = (
        f", inside the measured interval in {score['within']} of {score['intervals']}" if score["intervals"] else ""
    )
    return f"{learnt}; in the {score['cells']} others its p99 is {score['median_apart']:.0%} off (median){within}"


def _rate(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}/s" if value >= 99.95 else f"{value:.3g}/s"
