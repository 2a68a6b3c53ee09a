"""What `harness crosscheck` prints: the ladder of a run, or predictions beside runs that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.figures import WIDEST, ms, relative
from harness.report.ladder import ladder

SERVICE_MOVED = 0.05


def show(console: Console, answer: Mapping[str, Any]) -> None:
    """Print an answer; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    if answer["kind"] == "held out":
        console.print(Text(f"Calibrated on {', '.join(answer['calibrated_on'])}", style="dim"), soft_wrap=True)
        console.print(_held_out(answer["rows"]), "", sep="\n")
        notes = Table.grid(padding=(0, 1))
        notes.add_row(Text("service", style="dim"), Text("error of the mean service time alone", style="dim"))
        notes.add_row(Text("unscaled", style="dim"), Text("service times not made to grow with the load", style="dim"))
        console.print(notes)
        moved = sum(abs(row["service_error"]) > SERVICE_MOVED for row in answer["rows"])
        if moved:
            console.print(
                f"\nIn {moved} of {len(answer['rows'])} scored runs service itself was over {SERVICE_MOVED:.0%} off:"
                " the machine was in another state than when it was calibrated. Measure closer together, or longer."
            )
        return
    console.print(Text(answer["run"], style="dim"), soft_wrap=True)
    if not answer["rungs"]:
        console.print("A closed load, and a run with hardly any completed requests, have no ladder.")
        return
    console.print(ladder(answer["measured_ms"], answer["rungs"]), "", sep="\n")
    for sentence in answer["meaning"]:
        console.print(Text(sentence))


def _held_out(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    names = ("busy", "rate", "", "measured", "95 % interval", "twin", "", "service", "unscaled", "M/M/1")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        for key in ("p50", "p99"):
            lo, hi = row["p99_ci"] if key == "p99" else (None, None)
            interval = "" if lo is None or hi is None else f"{ms(lo)} … {ms(hi)}"
            first = (f"{row['utilisation']:.0%}", f"{row['rate_rps']:.3g}/s") if key == "p50" else ("", "")
            others = [
                relative(row[name]["error"][key]) if row[name]["error"] else Text("-")
                for name in ("constant_service", "mm1")
            ]
            twin = row["twin"]
            service = relative(row["service_error"]) if key == "p50" else Text("")
            figures = ms(row["measured_ms"][key]), interval, ms(twin["e2e_ms"][key]), relative(twin["error"][key])
            table.add_row(*first, key, *figures, service, *others)
    return table
