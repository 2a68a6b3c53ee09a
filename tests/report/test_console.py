"""The console that everything is shown on: a name neither controls the terminal nor is it markup."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.report.console import Screen

HOSTILE = "\x1b[2J[red]x[/red] :smile: \u202eb\udcff\x9b1m"
SHOWN = "\\u001b[2J[red]x[/red] :smile: \\u202eb\\udcff\\u009b1m"
OWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # what rich puts out: styles and movements of the cursor
PACKAGE = Path(__file__).parents[2] / "harness"


def table() -> Table:
    made = Table()
    made.add_column(HOSTILE)
    made.add_row(HOSTILE)
    made.add_row(Text(HOSTILE, style="bold"))
    return made


@pytest.mark.parametrize(
    "renderable", [HOSTILE, Text(HOSTILE, style="bold red"), table()], ids=["str", "Text", "Table"]
)
@pytest.mark.parametrize("terminal", [True, False])
def test_whatever_is_shown_is_shown_as_it_is(renderable, terminal):
    out = io.StringIO()
    Screen(file=out, width=200, force_terminal=terminal).print(renderable)
    text = OWN.sub("", out.getvalue())
    assert text.count(SHOWN) == (3 if isinstance(renderable, Table) else 1), text
    assert not set(text) & {"\x1b", "\u202e", "\udcff", "\x9b"}


def test_a_live_view_still_moves_the_cursor():
    out = io.StringIO()
    with Live(console=Screen(file=out, width=80, force_terminal=True), auto_refresh=False) as live:
        for _ in range(2):
            live.update(Text(f"{HOSTILE}\nsecond"), refresh=True)
    assert "\x1b[1A" in out.getvalue()  # up, to draw it anew
    assert not set(OWN.sub("", out.getvalue())) & {"\x1b", "\u202e", "\udcff", "\x9b"}


def test_nothing_is_printed_past_it():
    """Commands print with `commands.output`, reports on a Screen; a bare print escapes what it is given."""
    for file in PACKAGE.rglob("*.py"):
        code, place = file.read_text(), file.relative_to(PACKAGE).as_posix()
        if place not in ("commands/output.py",):
            assert "click.echo(" not in code, place
        assert not re.search(r"(?<!\w)Console\(", code.replace("class Screen(Console)", "")), place
        bare = [
            line for line in code.splitlines() if re.search(r"(?<![\w.])print\(", line) and "printable(" not in line
        ]
        assert not bare, (place, bare)
