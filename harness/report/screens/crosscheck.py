"""The screen of `harness crosscheck`: the ladder of a run, or predictions beside runs that were held out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, rate
from harness.report.console import new_table
from harness.report.figures import WIDEST, relative
from harness.report.screens.ladder import ladder
from harness.studies.predict.document import HeldOutResult, HeldOutRow, RunLadder

SERVICE_MOVED = 0.05
PREDICTION = (
    "A model that is given a run's own service times validates the queueing, and predicts nothing. To test predictions,"
    " score runs that it did not learn from: harness crosscheck --calibrate RUN --score RUN."
)


def show(console: Console, found: RunLadder | HeldOutResult) -> None:
    """Print it; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    if isinstance(found, RunLadder):
        _ladder(console, found)
    else:
        _held_out(console, found)


def _ladder(console: Console, found: RunLadder) -> None:
    console.print(Text(found.run, style="dim"), soft_wrap=True)
    if not found.rungs or found.measured_ms is None:
        console.print("There is no ladder for a closed load, nor for a run with hardly any completed requests.")
        return
    console.print(ladder(found.measured_ms, found.rungs), "", sep="\n")
    for rung in found.rungs:
        if rung.p99_bias:
            console.print(Text(f"{rung.model}: {rung.note}."))
    for sentence in found.meaning:
        console.print(Text(sentence))
    console.print(Text(PREDICTION, style="dim"))


def _held_out(console: Console, found: HeldOutResult) -> None:
    console.print(Text(f"Service times of {', '.join(found.learnt_from)}", style="dim"), soft_wrap=True)
    console.print(_rows(found.rows), "", sep="\n")
    notes = Table.grid(padding=(0, 1))
    notes.add_row(Text("service", style="dim"), Text("error of the mean service time alone", style="dim"))
    notes.add_row(Text("95 % of twins", style="dim"), Text("such runs differ as much by chance", style="dim"))
    console.print(notes)
    moved = sum(abs(row.service_error) > SERVICE_MOVED for row in found.rows)
    if moved:
        console.print(
            f"\nIn {moved} of {len(found.rows)} scored runs service itself was over {SERVICE_MOVED:.0%} off:"
            " the machine was in another state than when the twin learnt. Measure closer together, or longer."
        )


def _rows(rows: Sequence[HeldOutRow]) -> Table:
    table = new_table()
    names = ("busy", "rate", "", "measured", "95 % interval", "twin", "", "95 % of twins", "service", "M/M/1")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        twin = row.twin
        for key in ("p50", "p99"):
            lo, hi = row.p99_interval if key == "p99" else (None, None)
            first = (f"{row.utilisation:.0%}", rate(row.rate_rps)) if key == "p50" else ("", "")
            simple = relative(row.mm1.error[key]) if row.mm1.error else Text("-")
            service = relative(row.service_error) if key == "p50" else Text("")
            predicted = ms(twin.e2e_ms[key]), relative(twin.error[key]), _span(*twin.range_ms[key])
            table.add_row(*first, key, ms(row.measured_ms[key]), _span(lo, hi), *predicted, service, simple)
    return table


def _span(lo: float | None, hi: float | None) -> str:
    return "" if lo is None or hi is None else f"{ms(lo)} … {ms(hi)}"
