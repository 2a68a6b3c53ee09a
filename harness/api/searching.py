"""The highest load that keeps an SLO."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from harness.api.axes import Vary, axes_of
from harness.api.results import interrupted
from harness.api.runs import RESULTS
from harness.api.scenarios import Overrides, ScenarioLike, scenario_file
from harness.api.shown import Shown
from harness.api.tables import study_report
from harness.api.watching import watch_run, watches
from harness.errors import UsageError
from harness.report.console import Screen
from harness.report.live.capacity import progress as show
from harness.scenario import texts_of
from harness.studies.capacity import CapacityResult, Goal, find, limits_of, load, variants
from harness.studies.capacity.measured import measuring
from harness.units import parse_duration

if TYPE_CHECKING:
    from rich.console import Console

Slo: TypeAlias = Mapping[str, str] | Sequence[str]
"""Limits on e2e latency: {"p99": "150 ms", "mean": "60 ms"}, or ["p99=150ms"]."""


@dataclass(frozen=True, repr=False)
class Search(Shown):
    """A search for the capacity: `print` shows it, `result` has every figure. path: its folder."""

    result: CapacityResult
    path: Path | None

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the HTML report, by default as report.html in the folder. Returns its path. Raises SaveError."""
        if self.path is None:
            raise UsageError("this search was not saved", where="report")
        return study_report(self.path, path)

    def _show(self, console: Console) -> None:
        from harness.report.screens import capacity as screen

        screen.show(console, self.result)


def capacity(
    scenario: ScenarioLike,
    slo: Slo | None = None,
    overrides: Overrides | None = None,
    *,
    vary: Vary | None = None,
    within: float = 0.05,
    time_limit: str | None = None,
    run_length: str = "20 s",
    out: str | os.PathLike[str] = RESULTS,
    progress: bool | None = None,
) -> Search:
    """Find the highest load that keeps an SLO, and the variant of the scenario that carries it.

        harness.capacity("resnet18_cpu", {"p99": "150 ms"}, vary={"stages.inference.workers": [1, 2]})

    Short runs teach the twin the service times; the twin says which variants and rates are worth measuring; measured
    runs decide, and are saved. slo: by default the scenario's own. within: half the width of the interval on the
    result, relative. time_limit: after which no run begins. run_length: of the first measured runs.

    No load that keeps the SLO, and an interval that is wider than asked, raise nothing: `result.status` and
    `result.attainable` say so. Raises Interrupted with the Search as far as it came, UsageError before anything has
    run, and what ended the search.
    """
    with scenario_file(scenario) as path:
        common = texts_of(overrides)
        asked = variants(path, common, axes_of(vary))
        limits = [f"{name}={limit}" for name, limit in slo.items()] if isinstance(slo, Mapping) else slo or ()
        goal = Goal(
            limits=limits_of(asked[0].plan.scenario, limits),
            within=within,
            run_s=seconds("run_length", run_length),
            time_limit_s=math.inf if time_limit is None else seconds("time_limit", time_limit),
        )
        console = Screen(stderr=True, quiet=not watches(progress))
        measure = measuring(path, common, Path(out), lambda plan: watch_run(plan, False if console.quiet else None))
        finding = find(asked, goal, measure, Path(out), lambda state, step: show(console, state, step))
    found = Search(finding.result, None if finding.result.saved is None else Path(finding.result.saved).parent)
    if finding.state.signal:
        raise interrupted(finding.state.signal, found)
    if finding.error is not None:
        finding.error.saved = str(found.path or "")
        raise finding.error
    return found


def seconds(name: str, text: str) -> float:
    """A duration of at least 1 s. name: what it is given as. Raises UsageError."""
    try:
        value = parse_duration(text) / 1e9
    except ValueError as error:
        raise UsageError(f"expected {error}", where=f"{name} {text}") from None
    if value < 1:
        raise UsageError("expected at least 1 s", where=f"{name} {text}")
    return value


def open_search(folder: str | os.PathLike[str]) -> Search:
    """A saved search, by its folder. Raises UsageError."""
    return Search(load(Path(folder)), Path(folder))
