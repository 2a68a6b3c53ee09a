"""The progress of a sweep on standard error: two lines for each run, with its live view between them."""

from __future__ import annotations

import contextlib
import sys

from harness.executors.progress import Observer
from harness.numbers import ms, rate
from harness.report.figures import first_line
from harness.report.live import run as live
from harness.studies.sweep.axes import label
from harness.studies.sweep.folder import Entry
from harness.studies.sweep.running import Position
from harness.summary import Summary
from harness.text import printable


class Lines:
    """A `harness.studies.sweep.running.Watcher`. quiet: it prints nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def begins(self, position: Position) -> contextlib.AbstractContextManager[Observer]:
        """Print the variant and the time left; show the run's live view only on a terminal."""
        again = f", repeat {position.trial.repeat}" if position.trial.repeat > 1 else ""
        left = "" if position.left_s is None else f"  ({_duration(position.left_s)} left)"
        self._say(f"{position.ended + 1} of {position.total}: {label(position.values)}{again}{left}")
        return live.view(position.plan, quiet=self._quiet or not sys.stderr.isatty())

    def ended(self, entry: Entry, summary: Summary | None) -> None:
        """Print how it ended."""
        if entry.status != "completed" or summary is None:
            self._say(f"    {entry.status}" + (f": {first_line(entry.reason)}" if entry.reason else ""))
            return
        e2e = summary.e2e
        latency = "saturated" if summary.saturated else f"p50 {ms(e2e.p50)} ms, p99 {ms(e2e.p99)} ms"
        self._say(f"    {rate(summary.throughput_rps or 0)}, {latency}")

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        with contextlib.suppress(OSError):  # nobody reads any more; the sweep goes on
            print(printable(text), file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
