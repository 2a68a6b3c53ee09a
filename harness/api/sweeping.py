"""A scenario with every combination of some settings, measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.axes import Vary, axes_of
from harness.api.results import interrupted
from harness.api.runs import RESULTS
from harness.api.scenarios import Overrides, ScenarioLike, scenario_file
from harness.api.shown import Shown
from harness.api.watching import watches
from harness.errors import HarnessError
from harness.scenario import texts_of
from harness.studies.sweep.document import SweepResult
from harness.studies.sweep.folder import SweepFolder, find

if TYPE_CHECKING:
    import pandas
    from rich.console import Console


@dataclass(frozen=True, repr=False)
class Sweep(Shown):
    """A sweep: `print` shows it, `result` has every figure. path: its folder, with every run, a table and plots."""

    result: SweepResult
    path: Path

    def to_pandas(self) -> pandas.DataFrame:
        """One row a run: the varied keys, and its figures. Raises UsageError where pandas is not installed."""
        from harness.api.tables import frame

        return frame(self.result.rows)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the HTML report, by default as report.html in the folder. Returns its path. Raises SaveError."""
        from harness.api.tables import study_report

        return study_report(self.path, path)

    def _show(self, console: Console) -> None:
        from harness.report.screens import sweep as screen

        screen.show(console, self.result)


def sweep(
    scenario: ScenarioLike,
    vary: Vary,
    overrides: Overrides | None = None,
    *,
    repeats: int = 1,
    seed: int = 1,
    simulate: bool = False,
    out: str | os.PathLike[str] = RESULTS,
    progress: bool | None = None,
) -> Sweep:
    """Measure a scenario for every combination of the values in `vary`, and save it.

        harness.sweep("resnet18_cpu", {"stages.inference.batch.max": [1, 4], "load.utilisation": [0.3, 0.6]})

    overrides: for every variant. repeats: how often each runs, in rounds; seed: of the random order within a round.
    simulate: let the twin predict every variant, learning from two of them. A variant that fails is noted in the
    result, and the others still run. Raises Interrupted with the Sweep as far as it came (`resume_sweep` continues it),
    UsageError before anything has run, and SaveError.
    """
    from harness.studies.sweep.spec import prepare

    with scenario_file(scenario) as path:
        spec, scenarios = prepare(path, texts_of(overrides), axes_of(vary), repeats, seed)
        folder = SweepFolder.create(Path(out), spec, scenarios)
    return _run(folder, simulate, progress)


def resume_sweep(
    reference: str | os.PathLike[str] = "last",
    *,
    simulate: bool = False,
    out: str | os.PathLike[str] = RESULTS,
    progress: bool | None = None,
) -> Sweep:
    """Continue a sweep: run what has not completed. reference: its folder, or `last`. Raises as `sweep` does."""
    return _run(find(os.fspath(reference), Path(out)), simulate, progress)


def open_sweep(
    reference: str | os.PathLike[str] = "last", *, simulate: bool = False, out: str | os.PathLike[str] = RESULTS
) -> Sweep:
    """A saved sweep, as far as it has come. reference: its folder, or `last`. Raises UsageError."""
    from harness.studies.sweep.result import result

    folder = find(os.fspath(reference), Path(out))
    return Sweep(result(folder, simulate), folder.path)


def _run(folder: SweepFolder, simulate: bool, progress: bool | None) -> Sweep:
    from harness.report.live.sweep import Lines
    from harness.studies.sweep.running import run

    try:
        received = run(folder, Lines(quiet=not watches(progress)))
    except HarnessError as error:
        error.saved = str(folder.path)
        raise
    found = Sweep(finish(folder, simulate and not received), folder.path)
    if received:
        raise interrupted(received, found)
    return found


def finish(folder: SweepFolder, simulate: bool) -> SweepResult:
    """What a sweep has come to, with its table and its plots written into its folder. Raises SaveError."""
    from harness.report.plots import sweep as plots
    from harness.studies.sweep.result import result
    from harness.studies.sweep.table import write

    found = result(folder, simulate)
    write(found.rows, folder)
    plots.save(found, folder.path / "plots")
    return found
