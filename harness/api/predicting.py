"""What theory and the twin say: of a scenario that is not run, and of a run that was."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import store
from harness.api.axes import Vary, axes_of
from harness.api.runs import RESULTS, Run
from harness.api.scenarios import Overrides, ScenarioLike, load_scenario
from harness.api.shown import Shown
from harness.scenario import texts_of
from harness.store import SavedRun
from harness.studies.predict.document import RunLadder, WhatIfResult

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, repr=False)
class Forecast(Shown):
    """What the twin predicts: `print` shows it, `result` has every figure."""

    result: WhatIfResult

    def _show(self, console: Console) -> None:
        from harness.report.screens import simulate as screen

        screen.show(console, self.result)


@dataclass(frozen=True, repr=False)
class Crosscheck(Shown):
    """A run held against theory and the twin: `print` shows it, `result` has every figure."""

    result: RunLadder

    def _show(self, console: Console) -> None:
        from harness.report.screens import crosscheck as screen

        screen.show(console, self.result)


def simulate(
    scenario: ScenarioLike,
    overrides: Overrides | None = None,
    *,
    run: Run | str | os.PathLike[str] | None = None,
    vary: Vary | None = None,
    requests: int = 20_000,
    replications: int = 20,
    seed: int = 1,
    out: str | os.PathLike[str] = RESULTS,
) -> Forecast:
    """Predict latencies with the twin, without running anything.

        harness.simulate("resnet18_cpu", {"stages.inference.workers": 2}, run=run)

    The scenario is predicted as it stands (`result.baseline`) and with the overrides (`result.what_if`); its load stays
    as it was, unless they change it. run: the saved run that service times come from; delay stages say theirs
    themselves. vary: predict every combination, too. requests: simulated in each of the replications, of which
    intervals are made. Raises UsageError where nothing is known of a stage's service times.
    """
    from harness.studies.predict import whatif
    from harness.studies.predict.forecast import Effort

    loaded, axes = load_scenario(scenario), axes_of(vary)
    source = None if run is None else whatif.Source.of(_saved(run, out))
    effort = Effort(requests=requests, replications=replications, seed=seed)
    return Forecast(whatif.ask(loaded, texts_of(overrides), source, effort, axes))


def crosscheck(run: Run | str | os.PathLike[str] = "last", *, out: str | os.PathLike[str] = RESULTS) -> Crosscheck:
    """Hold a saved run against theory and the twin, from M/M/1 to a replay of every request. Raises UsageError."""
    from harness.studies.predict.crosscheck import of_run

    return Crosscheck(of_run(_saved(run, out)))


def _saved(run: Run | str | os.PathLike[str], out: str | os.PathLike[str]) -> SavedRun:
    return SavedRun(run.path) if isinstance(run, Run) else store.find(os.fspath(run), Path(out))
