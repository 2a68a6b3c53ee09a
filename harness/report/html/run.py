"""What the report shows of one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stats import series
from harness.stats.series import RunSeries, Series
from harness.store import SavedRun
from harness.studies.run import room
from harness.summary import Summary


@dataclass(frozen=True)
class Run:
    """A saved run. label: A, B, ... among several. series is None where no request completed.

    cpu: shares of CPU time over time; empty for runs that were saved without. scenario: the text, as run.
    """

    label: str
    path: Path
    summary: Summary
    series: RunSeries | None
    cpu: Mapping[str, Series]
    scenario: str

    @property
    def saturated(self) -> bool:
        """Whether there was no steady state, and so no quantile to show."""
        return self.summary.saturated

    @property
    def title(self) -> str:
        """Name, and label among several."""
        return f"{self.label}: {self.summary.name}" if self.label else self.summary.name


def read(saved: SavedRun, label: str = "", spans: int = series.SPANS) -> Run:
    """Read a saved run and make its series. Raises UsageError."""
    summary, records = saved.summary, saved.records
    room.check([records], room.REPORT_SIZES, "a report", str(saved.path))
    found = series.of_run(records, spans=spans)
    over_time = _environment(saved.path).get("cpu_over_time")
    cpu = series.cpu(over_time, found.start_ns) if over_time and found else {}
    return Run(label, saved.path, summary, found, cpu, _text(saved.path / "resolved.yaml"))


def _environment(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path / "environment.json"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    """The contents of a file that a report can do without."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
