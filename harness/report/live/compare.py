"""The live view of a comparison, on standard error: redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.clock import now_ns
from harness.executors.blocks import Standing
from harness.report.console import Screen
from harness.report.live.run import LINE_EVERY_S, rolling
from harness.studies.variants import Variant
from harness.text import printable


class View(Protocol):
    """Observes a comparison."""

    def examining(self, side: Variant) -> None:
        """The outputs of this side are being computed."""

    def blocks(self, standing: Standing) -> None:
        """The sides have their turns."""


@contextlib.contextmanager
def view(sides: Sequence[Variant], *, quiet: bool = False) -> Iterator[View]:
    """The view of a comparison of these sides. Shows nothing when `quiet`."""
    console = Screen(stderr=True)
    if quiet:
        yield _Nothing()
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield _Block(sides, live)
    else:
        yield _Lines(sides)


class _Nothing:
    """Shows nothing."""

    def examining(self, side: Variant) -> None:
        pass

    def blocks(self, standing: Standing) -> None:
        pass


class _Lines:
    """One plain line every few seconds, and at the start of each block."""

    def __init__(self, sides: Sequence[Variant]) -> None:
        self._sides = sides
        self._place: tuple[str, int] = ("", -1)
        self._shown_ns = 0

    def examining(self, side: Variant) -> None:
        self._print(_outputs(side))

    def blocks(self, standing: Standing) -> None:
        place = standing.progress.phase, len(standing.turns) // len(self._sides)
        if place == self._place and now_ns() - self._shown_ns < LINE_EVERY_S * 1e9:
            return
        self._place, self._shown_ns = place, now_ns()
        self._print(f"{_where(standing, self._sides)}{_left(standing)}")

    def _print(self, text: str) -> None:
        print(printable(f"{self._sides[0].plan.scenario.name}: {text}"), file=sys.stderr, flush=True)


class _Block:
    """Where the comparison stands, a bar over all blocks, and the recent latencies of each side."""

    def __init__(self, sides: Sequence[Variant], live: Live) -> None:
        self._sides = sides
        self._live = live
        self._latest = [""] * len(sides)

    def examining(self, side: Variant) -> None:
        self._show(self._head(_outputs(side), ""))

    def blocks(self, standing: Standing) -> None:
        recent = rolling(standing.progress)
        if recent:
            self._latest[standing.side] = f"p50 {recent[0]:.1f} ms  p99 {recent[1]:.1f} ms"
        lines: list[Text | ProgressBar] = [self._head(_where(standing, self._sides), _left(standing))]
        if standing.progress.phase == "running":
            lines.append(ProgressBar(total=standing.total_turns, completed=_done(standing), width=60))
        for index, side in enumerate(self._sides):
            text = f"{side.name}  {self._latest[index]:<30} {side.label}"
            style = "bold" if index == standing.side else "dim"
            lines.append(Text(text, style=style, no_wrap=True, overflow="ellipsis"))
        self._show(*lines)

    def _head(self, where: str, left: str) -> Text:
        name = Text(self._sides[0].plan.scenario.name, style="bold", no_wrap=True, overflow="ellipsis")
        return name.append(f"  {where}", style="not bold").append(left, style="not bold dim")

    def _show(self, *lines: Text | ProgressBar) -> None:
        block = Table.grid()
        for line in lines:
            block.add_row(line)
        self._live.update(block, refresh=True)


def _outputs(side: Variant) -> str:
    return f"outputs of side {side.name}, to compare them"


def _where(standing: Standing, sides: Sequence[Variant]) -> str:
    progress = standing.progress
    side = f"side {sides[standing.side].name}"
    if progress.phase == "starting":
        return f"starting the workers of {side}"
    if progress.phase == "calibrating":
        return f"saturating {side}"
    blocks = standing.total_turns // len(sides)
    block = len(standing.turns) // len(sides) + 1
    return f"block {block} of {blocks}, {side}: {progress.ended:,} of {progress.total or 0:,} requests"


def _done(standing: Standing) -> float:
    """Turns that are complete, plus the share of the current one."""
    progress = standing.progress
    return len(standing.turns) + progress.ended / progress.total if progress.total else float(len(standing.turns))


def _left(standing: Standing) -> str:
    done = _done(standing)
    if standing.progress.phase != "running" or not standing.turns:
        return ""
    spent_s = (now_ns() - standing.turns[0].begun_ns) / 1e9
    left_s = spent_s / done * (standing.total_turns - done)
    return f"; {left_s:.0f} s left"
