"""What a terminal can show, and the tables that the screens of runs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.console import new_table

ROOMY = 96  # columns from which on tables are spaced out
LEVEL_STYLES = {"ok": "green", "warning": "yellow", "invalid": "bold red"}
Row = tuple[str, ...]  # a mark, its style, and the texts beside it


class Look:
    """Symbols, and how much room there is."""

    def __init__(self, console: Console) -> None:
        plain = console.options.ascii_only
        self.levels = (
            {"ok": "+", "warning": "!", "invalid": "x"} if plain else {"ok": "✓", "warning": "!", "invalid": "✗"}
        )
        self.bar = "#" if plain else "█"
        self.bullet = "-" if plain else "•"
        self.to = ".." if plain else "…"
        self.gap = 2 if console.width >= ROOMY else 1
        self.bar_width = 20 if console.width >= ROOMY else 8

    def table(self, *, header: bool = True) -> Table:
        """A table without lines."""
        gap = self.gap if header else 1
        return new_table(gap, header=header)

    def marked(self, rows: Iterable[Row]) -> Table:
        """Texts behind marks."""
        table = self.table(header=False)
        for mark, style, *texts in rows:
            table.add_row(Text(mark, style=style), *map(Text, texts))
        return table

    def sentences(self, texts: Iterable[str]) -> Table:
        """Sentences behind bullets."""
        return self.marked((self.bullet, "dim", text) for text in texts)


def labelled(rows: Sequence[tuple[str, str]]) -> Table:
    """Labels and texts that fold beside them; a label without a text is left out."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", min_width=11)
    for label, text in rows:
        if text:
            table.add_row(label, Text(text))
    return table
