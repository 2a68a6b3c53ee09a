"""The table of `harness runs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.errors import UsageError
from harness.numbers import ms, rate
from harness.report.screens.look import LEVEL_STYLES, Look
from harness.summary import Summary


def show(console: Console, rows: Sequence[tuple[Path, Summary | UsageError]], root: str) -> None:
    """Folder and summary of every run, the newest first, or why there is no summary."""
    if not rows:
        console.print(f"There are no runs under {root} yet: harness run scenarios/resnet18_cpu.yaml", soft_wrap=True)
        return
    look = Look(console)
    wide, widest = console.width >= 110, console.width >= 136
    table = look.table()
    for name, shown in (("run", True), ("scenario", True), ("started", True), ("folder", widest)):
        if shown:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("completed", *(("rate",) if wide else ()), "p50 ms", "p99 ms", *(("95 % interval",) if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for index, (path, summary) in enumerate(rows):
        label = Text(f"last~{index}" if index else "last", style="dim")
        if isinstance(summary, UsageError):
            blank = ["-"] * (len(table.columns) - 3)
            verdict = Text(f"{look.levels['invalid']} unreadable", style=LEVEL_STYLES["invalid"])
            table.add_row(label, Text(path.parent.name, style="bold"), *blank, verdict)
            continue
        lo, hi = summary.e2e.p99_interval
        interval = "-" if lo is None else f"{ms(lo)} {look.to} {ms(hi)}"
        level = summary.validity
        ended = "" if summary.status == "completed" else f" {summary.status}"
        table.add_row(
            label,
            Text(summary.name, style="bold"),
            summary.started_at.replace("T", " ")[:16],
            *((Text(path.name, style="dim"),) if widest else ()),
            f"{summary.requests.completed:,}",
            *((rate(summary.throughput_rps),) if wide else ()),
            ms(summary.e2e.p50),
            ms(summary.e2e.p99),
            *((interval,) if wide else ()),
            Text(f"{look.levels[level]}{ended}", style=LEVEL_STYLES[level]),
        )
    console.print(table)
