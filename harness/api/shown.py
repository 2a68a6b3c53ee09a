"""Results show themselves as the commands do: printed, a result is the screen of its command, and so in a notebook."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Shown:
    """A result with a screen."""

    def _show(self, console: Console) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        first = next((line for line in str(self).splitlines() if line.strip()), "")
        return f"<{type(self).__name__}: {first.strip()}; print shows all>"

    def __str__(self) -> str:
        from harness.report.console import Screen
        from harness.report.figures import WIDEST

        text = io.StringIO()
        self._show(Screen(file=text, width=WIDEST, no_color=True, force_terminal=False))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        style = "font-size: 12.5px; line-height: 1.45; overflow-x: auto; white-space: pre; background: transparent"
        return f'<pre class="harness-screen" style="{style}">{escape(str(self))}</pre>'
