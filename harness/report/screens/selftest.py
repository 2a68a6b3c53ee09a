"""The screen of `harness selftest`: one line for each check, as soon as its result is known."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.numbers import ms
from harness.studies.selftest import Line

MARKS = {"pass": "✓", "fail": "✗", "noise": "?"}
STYLES = {"pass": "green", "fail": "bold red", "noise": "yellow"}
ROW = "{:35} {:>8} {:>8} {:>15} {}"


def head(console: Console) -> None:
    """Print the names of the columns."""
    console.print(Text("  " + ROW.format("", "expected", "measured", "to lie within", ""), style="dim"))


def show(console: Console, line: Line) -> None:
    """Print one line."""
    to = ".." if console.options.ascii_only else "…"
    within = f"{_figure(line.lo, line)} {to} {_figure(line.hi, line)}"
    cells = ROW.format(line.test, _figure(line.expected, line), _figure(line.measured, line), within, line.unit)
    marks = {"pass": "+", "fail": "x", "noise": "?"} if console.options.ascii_only else MARKS
    console.print(Text(f"{marks[line.verdict]} ", style=STYLES[line.verdict]).append(cells, style=""), soft_wrap=True)


def _figure(value: float, line: Line) -> str:
    return f"{value:.3f}" if line.unit == "ratio" else f"{value:,.0f}" if not line.unit else ms(value)


def conclude(console: Console, lines: Sequence[Line]) -> None:
    """Print the verdict of all lines."""
    failed, noisy = [line for line in lines if line.verdict == "fail"], [x for x in lines if x.verdict == "noise"]
    console.print()
    if failed:
        console.print(
            Text(f"{len(failed)} of {len(lines)} failed: do not trust measurements on this machine.", style="bold red")
        )
    if noisy:
        why = "; ".join(sorted({line.why for line in noisy}))
        text = f"The machine is too noisy to say for {len(noisy)} of {len(lines)}: {why}. Try again when it is quiet."
        console.print(Text(text, style="yellow"))
    if not failed and not noisy:
        console.print(Text(f"All {len(lines)} hold: the tool is right on this machine.", style="green"))
