"""The screen of a band of latencies: each component's share of it, against its share of the median requests."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms
from harness.report.console import new_table
from harness.report.figures import WIDEST, clusters
from harness.stats.attribution import Attribution
from harness.studies.run.band import BandResult

BAR_WIDTH = 20
NOTED = 0.005  # a share below it is shown dimly


def show(console: Console, result: BandResult) -> None:
    """Print it; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    found = result.attribution
    if found is None:
        console.print(f"None of the {result.completed:,} completed requests lies in the band {result.band}.")
        return
    to = ".." if console.options.ascii_only else "…"
    where = f"{ms(found.low_ms)} {to} {ms(found.high_ms)} ms"
    share = found.count / result.completed
    head = f"  {found.count:,} of {result.completed:,} requests ({share:.1%}), e2e latency {where}"
    console.print(Text.assemble((result.band, "bold"), (head, "dim")), "", sep="\n")
    console.print(_table(found, "#" if console.options.ascii_only else "█"), "", sep="\n")
    console.print(Text(_sentence(found)))
    ranges = "; lo-hi is a share without any one of these" if found.share_ranges else ""
    console.print(Text(f"These are {clusters(found.count, found.clusters)}{ranges}.", style="dim"))


def _table(found: Attribution, mark: str) -> Table:
    table = new_table()
    table.add_column("", no_wrap=True)
    for name in ("mean ms", "at the median", "points"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("in the band", no_wrap=True)
    for name, share in found.shares.items():
        before = found.median_shares[name]
        style = "" if max(share, before) >= NOTED else "dim"
        bar = Text(f"{share:4.0%} ", style=style)
        bar.append(mark * round(max(share, 0.0) * BAR_WIDTH), style="cyan")
        if found.share_ranges and not style:
            low, high = found.share_ranges[name]
            bar.append(f" {100 * low:.0f}-{high:.0%}", style="dim")
        cells = (_label(name), ms(found.mean_ms[name]), f"{before:.0%}", f"{round(100 * (share - before)):+d}")
        table.add_row(*(Text(cell, style=style) for cell in cells), bar)
    table.add_row("all", ms(sum(found.mean_ms.values())), "100%", "", "100%")
    return table


def _label(name: str) -> str:
    stage, _, component = name.rpartition(".")
    words = {"producer": "producer's lateness", "residual": "between stamps"}
    return f"{stage} {component.replace('_', ' ')}" if stage else words[name]


def _sentence(found: Attribution) -> str:
    """What has a larger share here than at the median."""
    name = max(found.shares, key=lambda n: found.shares[n] - found.median_shares[n])
    gain = found.shares[name] - found.median_shares[name]
    if gain < 0.05:
        return "Its time goes where that of a median request goes."
    return (
        f"What sets it apart from a median request is {_label(name)}:"
        f" {found.shares[name]:.0%} of the latency, against {found.median_shares[name]:.0%}."
    )
