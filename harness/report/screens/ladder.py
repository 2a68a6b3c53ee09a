"""A run's ladder of models as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from harness.numbers import ms
from harness.report.console import new_table
from harness.report.figures import relative
from harness.summary import Rung

QUANTILES = ("p50", "p90", "p99")
"""Those that every model gives."""


def ladder(measured_ms: Mapping[str, float | None], rungs: Sequence[Rung]) -> Table:
    """The measured quantiles, and those of each model with its relative error.

    Behind a model's name: by how much its p99 is off in itself, where that is known.
    """
    table = new_table()
    table.add_column("e2e latency, ms")
    for name in (column for key in QUANTILES for column in (key, "")):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("correlation", justify="right", no_wrap=True)
    table.add_row(Text("measured", style="bold"), *_row(measured_ms, None))
    for rung in rungs:
        if rung.e2e is None:
            table.add_row(rung.model, Text(rung.note or "", style="dim"))
            continue
        linked = "" if rung.correlation is None else f"{rung.correlation:.4f}"
        bias = rung.p99_bias
        known = f", {abs(bias):.0%} {'high' if bias > 0 else 'low'}" if bias else ""
        table.add_row(rung.model + known, *_row(rung.e2e, rung.error), linked)
    return table


def _row(levels: Mapping[str, float | None], errors: Mapping[str, float | None] | None) -> list[Text]:
    cells = []
    for key in QUANTILES:
        error = errors[key] if errors else None
        cells += [Text(ms(levels[key])), Text("") if error is None else relative(error)]
    return cells
