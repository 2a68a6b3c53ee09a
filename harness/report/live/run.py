"""The live view of a run, on standard error: one block that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import numpy as np
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.executors.progress import Observer, Progress
from harness.plan import Plan
from harness.records import Outcome
from harness.report.console import Screen
from harness.scenario.model import Closed
from harness.stats.quantiles import quantile
from harness.text import printable

LINE_EVERY_S = 5.0
RECENT = 200  # requests that the rolling quantiles look at


@contextlib.contextmanager
def view(plan: Plan, *, quiet: bool = False) -> Iterator[Observer]:
    """An observer for a session. Shows nothing when `quiet`."""
    console = Screen(stderr=True)
    if quiet:
        yield lambda progress: None
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda progress: live.update(_block(progress), refresh=True)
    else:
        yield _Lines()


class _Lines:
    """One plain line every few seconds, and when the phase changes."""

    def __init__(self) -> None:
        self._phase = ""
        self._shown_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.phase == self._phase and progress.elapsed_s - self._shown_s < LINE_EVERY_S:
            return
        self._phase, self._shown_s = progress.phase, progress.elapsed_s
        print(printable(f"{progress.plan.scenario.name}: {sentence(progress)}"), file=sys.stderr, flush=True)


def sentence(progress: Progress) -> str:
    """Where a run stands, in one line of text."""
    if progress.phase == "starting":
        return "starting workers"
    parts = [f"{progress.phase}: {_count(progress)} requests, {_rate(progress)}/s"]
    recent = rolling(progress)
    if recent:
        parts.append(f"p50 {recent[0]:.1f} ms, p99 {recent[1]:.1f} ms of the last {recent[2]}")
    parts.append("queues " + " ".join(map(str, progress.depths)))
    left = _left_s(progress)
    if left is not None:
        parts.append(f"{left:.0f} s left")
    return "; ".join(parts)


def _block(progress: Progress) -> Table:
    """At most four lines: where the run stands, a bar, the queues, the latencies of late."""
    block = Table.grid()
    name = Text(progress.plan.scenario.name, style="bold", no_wrap=True, overflow="ellipsis")
    if progress.phase == "starting":
        block.add_row(name.append("  starting workers: imports, models, compiling", style="not bold dim"))
        return block
    left = _left_s(progress)
    status = [progress.phase, f"{_count(progress)} requests", f"{_rate(progress)}/s"]
    name.append("  " + "  ".join(status), style="not bold")
    block.add_row(name.append("" if left is None else f"  {left:.0f} s left", style="not bold dim"))
    total = progress.total
    block.add_row(ProgressBar(total=total or 100, completed=progress.ended if total else 0, pulse=not total, width=60))
    depths = Text("waiting  ", style="dim")
    for stage, depth in zip(progress.plan.stages, progress.depths, strict=True):
        style = "yellow" if depth >= stage.capacity - 1 else "not dim"
        depths.append(f"{stage.name} {depth:,}/{stage.capacity:,}  ", style=style)
    block.add_row(depths)
    recent = rolling(progress)
    if recent:
        p50, p99, count = recent
        block.add_row(
            Text.assemble(
                ("latency  ", "dim"), f"p50 {p50:.1f} ms  p99 {p99:.1f} ms", (f"  of the last {count}", "dim")
            )
        )
    return block


def _rate(progress: Progress) -> str:
    return f"{progress.ended / max(progress.elapsed_s, 1e-9):,.1f}"


def _count(progress: Progress) -> str:
    return f"{progress.ended:,}" + (f" of {progress.total:,}" if progress.total else "")


def rolling(progress: Progress) -> tuple[float, float, int] | None:
    """p50 and p99 in ms of the requests that completed last, and how many those are."""
    columns = progress.plan.layout.columns
    rows = progress.rows[-4 * RECENT :]
    rows = rows[rows[:, columns["outcome"]] == Outcome.COMPLETED][-RECENT:]
    if not len(rows):
        return None
    latency = rows[:, columns[f"{progress.plan.layout.names[-1]}.done"]] - rows[:, columns["due"]]
    return quantile(latency, 0.5) / 1e6, quantile(latency, 0.99) / 1e6, len(rows)


def _left_s(progress: Progress) -> float | None:
    load = progress.plan.load
    if progress.phase == "calibrating" and not isinstance(load, Closed):
        return max(0.0, load.calibration / 1e9 - progress.elapsed_s)
    if load.duration is not None:
        return max(0.0, load.duration / 1e9 - progress.elapsed_s)
    if progress.total and progress.ended and np.isfinite(progress.elapsed_s):
        return progress.elapsed_s / progress.ended * (progress.total - progress.ended)
    return None
