"""What `harness report --text` prints below the screen of a run: the percentile curve, and the course of the run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms
from harness.report.console import new_table
from harness.report.figures import WIDEST
from harness.stats.quantiles import rank
from harness.stats.series import CURVE_LEVELS, RunSeries

BAR = 28
COLUMNS = 40
BLOCKS = " ▁▂▃▄▅▆▇█"
DIGITS = " .:-=+*#%@"


def show(console: Console, series: RunSeries) -> None:
    """Print both; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    plain = console.options.ascii_only
    console.print(Text("\nLatency by percentile", style="bold"), _curve(series, "#" if plain else "█"), sep="\n")
    console.print(Text("\nOver time, from left to right", style="bold"), _course(series, plain), sep="\n")


def _curve(series: RunSeries, bar: str) -> Table:
    table = _table("percentile", "1 in", "above", "e2e ms", "response ms")
    table.add_column("", no_wrap=True)
    most = series.e2e.ms[-1]
    for level in [q for q in CURVE_LEVELS if (1 - q) * series.e2e.count >= 1] + [1.0]:
        values = [found.quantile(level) for found in (series.e2e, series.response)]
        above = series.e2e.count - rank(series.e2e.count, level)
        name = {0.0: "min", 1.0: "max"}.get(level, f"{100 * level:.10g} %")
        one_in = f"{1 / (1 - level):,.0f}" if 0 < level < 1 else ""
        table.add_row(name, one_in, f"{above:,}", *map(ms, values), Text(bar * round(BAR * values[0] / most), "cyan"))
    return table


def _course(series: RunSeries, plain: bool) -> Table:
    """A line for each: the highest value of each fortieth of the run, against the highest of all."""
    table = _table("highest of each span", "at most", "")
    rows = [("e2e latency, ms", series.latency), ("producer lateness, ms", series.lateness)]
    rows += [(f"waiting for {name}", waiting.steps) for name, waiting in series.waiting.items()]
    end = float(series.latency.x[-1])
    for name, found in rows:
        highest = found.highest(COLUMNS, end)
        table.add_row(name, ms(float(highest.max())), Text(_sparks(highest, DIGITS if plain else BLOCKS), "cyan"))
    table.columns[2].justify = "left"
    return table


def _sparks(values: NDArray[np.float64], shades: str) -> str:
    most = values.max()
    steps = np.ceil(values / most * (len(shades) - 1)).astype(int) if most > 0 else np.zeros(len(values), int)
    return "".join(shades[max(step, 0)] for step in steps)


def _table(*names: str) -> Table:
    table = new_table(2)
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    return table
