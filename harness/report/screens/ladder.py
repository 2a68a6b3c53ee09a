"""A run's ladder of models as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from harness.report.figures import ms, relative


def ladder(measured_ms: Mapping[str, float], rungs: Sequence[Mapping[str, Any]]) -> Table:
    """The measured quantiles, and those of each model with its relative error.

    Behind a model's name: by how much its p99 is off in itself, where that is known.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("e2e latency, ms")
    for name in ("p50", "", "p90", "", "p99", ""):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("correlation", justify="right", no_wrap=True)
    table.add_row(Text("measured", style="bold"), *_row(measured_ms, None))
    for rung in rungs:
        if rung["e2e_ms"] is None:
            table.add_row(rung["model"], Text(rung["note"], style="dim"))
            continue
        linked = f"{rung['correlation']:.4f}" if "correlation" in rung else ""
        bias = rung.get("p99_bias")
        known = f", {abs(bias):.0%} {'high' if bias > 0 else 'low'}" if bias else ""
        table.add_row(rung["model"] + known, *_row(rung["e2e_ms"], rung["error"]), linked)
    return table


def _row(levels: Mapping[str, float], errors: Mapping[str, float] | None) -> list[Text]:
    cells = []
    for key in ("p50", "p90", "p99"):
        cells += [Text(ms(levels[key])), relative(errors[key]) if errors else Text("")]
    return cells
