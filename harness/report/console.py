"""The console that everything is shown on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.text import printable


class Screen(Console):
    """Text is shown as it is: what would control the terminal is escaped, and nothing in it is markup.

    Only what rich itself puts out to move the cursor or to colour reaches the terminal as such.
    """

    def __init__(self, **options: Any) -> None:
        # In a notebook rich would show what is printed by itself, wherever it was to go.
        super().__init__(highlight=False, markup=False, emoji=False, force_jupyter=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A cell's text has its width measured from what this gives."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Every text on its way to the terminal passes here."""
        if isinstance(renderable, Text) and printable(renderable.plain) != renderable.plain:
            renderable = _escaped(renderable)  # before it is laid out, so that no line of it is cut off
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def new_table(gap: int = 1, *, header: bool = True) -> Table:
    """An empty table as every screen has it: no lines, columns `gap` apart, a dim header."""
    return Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_header=header, header_style="dim")


def _escaped(text: Text) -> Text:
    """In one style: where its parts lay is not where they lie now."""
    made = Text(printable(text.plain), text.style, justify=text.justify, overflow=text.overflow, no_wrap=text.no_wrap)
    made.end = text.end
    return made
