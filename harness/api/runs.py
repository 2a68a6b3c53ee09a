"""One run: measured, saved, and looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness import scenario as scenarios
from harness import store
from harness.api.results import interrupted
from harness.api.scenarios import Overrides, ScenarioLike, scenario_file
from harness.api.tables import need_pandas
from harness.api.watching import watch_run
from harness.errors import HarnessError, ScenarioError, UsageError
from harness.numbers import ms
from harness.records import RunRecords
from harness.scenario import Scenario
from harness.store import SavedRun
from harness.studies.planning import with_line
from harness.studies.variants import plan_variant
from harness.summary import Summary

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from harness.studies.run.measure import Measured

RESULTS = str(store.DEFAULT_ROOT)
"""The folder of all results, below the working directory."""


@dataclass(frozen=True)
class Run:
    """A saved run. In a notebook it shows the head of its report, the latency budget and the tail.

    path: its folder. What is read from there is read once, when it is asked for; where it cannot be, UsageError is
    raised.
    """

    path: Path

    @cached_property
    def summary(self) -> Summary:
        """Every figure of the run, with its unit: summary.e2e.p99, summary.stages["inference"].queue_wait.p99."""
        return SavedRun(self.path).summary

    @cached_property
    def records(self) -> RunRecords:
        """The raw stamps of every request, ns."""
        return SavedRun(self.path).records

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario as it was run: every key, and the rate itself where the run measured it."""
        return scenarios.load(self.path / "resolved.yaml")

    def to_arrow(self) -> pyarrow.Table:
        """One row a request, in the order of issue; each column's unit and meaning are in its field's metadata.

        request, phase (measured, warmup, calibration), outcome (completed, failed, dropped, aborted), image, label, and
        failure (the reason). due_s, issued_s, completed_s: seconds since the first measured request was due. e2e_ms and
        response_ms; of completed requests the components of the latency budget, which add up to e2e_ms: producer_ms,
        STAGE.blocked_ms, STAGE.queue_wait_ms, STAGE.batch_wait_ms and STAGE.service_ms of each stage, residual_ms. What
        never happened is null.
        """
        from harness.stats.table import request_table

        return request_table(self.records)

    def to_pandas(self) -> pandas.DataFrame:
        """`to_arrow` as a DataFrame. Raises UsageError where pandas is not installed."""
        need_pandas()
        return self.to_arrow().to_pandas()

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the HTML report, by default as report.html in the run's folder. Returns its path. Raises SaveError."""
        from harness.report.html.files import write_report

        return write_report([SavedRun(self.path)], None if path is None else Path(path))

    def __repr__(self) -> str:
        try:
            return f"<Run {self.path}: {headline(self.summary)}>"
        except UsageError as error:
            return f"<Run {self.path}: {error.what}>"

    def _repr_html_(self) -> str | None:
        from harness.report.html.card import run_card

        try:
            return run_card(SavedRun(self.path))
        except UsageError:  # the text says why
            return None


def headline(summary: Summary) -> str:
    """p99 with its interval, and whether the run is valid, in a line."""
    e2e = summary.e2e
    low, high = e2e.p99_interval
    p99 = "no p99" if e2e.p99 is None else f"p99 {ms(e2e.p99)} ms"
    interval = "" if low is None or high is None else f" (95 % interval {ms(low)} to {ms(high)})"
    return f"{p99}{interval}, {summary.status}, {summary.validity}"


def run(
    scenario: ScenarioLike,
    overrides: Overrides | None = None,
    *,
    out: str | os.PathLike[str] = RESULTS,
    progress: bool | None = None,
) -> Run:
    """Run a scenario on the real pipeline, save it, and return the saved run.

    out: folder under which it is saved. progress: None shows it where a person watches (a notebook, a terminal); True
    everywhere, on standard error; False nowhere. Works inside a running event loop.

    A limit of the SLO that is missed raises nothing: run.summary.slo says it. Raises Interrupted for Ctrl-C or a
    notebook's stop button, with the saved run; ScenarioError or another UsageError before anything has run; RunFailed
    where the run could not go on (`error.saved` is then the folder of what was measured); SaveError where nothing could
    be saved.
    """
    from harness.studies.run.measure import measure

    with scenario_file(scenario) as path:
        variant = plan_variant(path, common=scenarios.texts_of(overrides))
        with watch_run(variant.plan, progress) as observe:
            measured = measure(variant.plan, variant.given, Path(out), observe)
        if isinstance(measured.execution.error, ScenarioError):
            raise with_line(measured.execution.error, path, variant.overrides)
    return _ended(measured)


def _ended(measured: Measured) -> Run:
    """The saved run. Raises what went wrong; of several the weightiest, with the others as notes."""
    found = [measured.execution.error, measured.summary_error, measured.save_error]
    errors = [error for error in found if error is not None]
    saved = None if measured.saved is None else Run(measured.saved.path)
    if measured.signal:
        raise interrupted(measured.signal, saved)
    if errors:
        error: HarnessError = errors[0]
        error.saved = str(saved.path) if saved else ""
        for other in errors[1:]:
            error.add_note(str(other))
        raise error
    assert saved is not None
    return saved


def open_run(reference: str | os.PathLike[str] = "last", *, out: str | os.PathLike[str] = RESULTS) -> Run:
    """A saved run by its folder, `last`, `last~1` (the one before), or its scenario's name. Raises UsageError."""
    return Run(store.find(os.fspath(reference), Path(out)).path)


class Runs(tuple[Run, ...]):
    """Saved runs, the newest first. In a notebook a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "no runs"


def runs(*, out: str | os.PathLike[str] = RESULTS) -> Runs:
    """The saved runs under a folder, the newest first."""
    return Runs(Run(saved.path) for saved in store.list_runs(Path(out)))
