"""The trials of a sweep that are lacking, run one after the other."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import ScenarioError
from harness.executors.progress import Observer
from harness.interruption import held
from harness.plan import Plan
from harness.studies.run.measure import measure
from harness.studies.sweep.folder import Entry, SweepFolder
from harness.studies.sweep.spec import Spec, plan_of
from harness.studies.sweep.trials import Trial, Value
from harness.summary import Summary


@dataclass(frozen=True)
class Position:
    """Where a sweep stands. left_s: for this trial and those after it; None before the first has ended."""

    trial: Trial
    values: Mapping[str, Value]
    plan: Plan
    ended: int
    total: int
    left_s: float | None


class Watcher(Protocol):
    """Shows how a sweep goes on."""

    def begins(self, position: Position) -> contextlib.AbstractContextManager[Observer]:
        """A trial begins; the observer watches it."""

    def ended(self, entry: Entry, summary: Summary | None) -> None:
        """A trial has ended. summary: of its run, where there is one."""


def run(folder: SweepFolder, watcher: Watcher) -> int:
    """Run every trial that has not completed; a failure is noted, and the others go on.

    Returns the signal that ended it early, or 0. Raises SaveError when results cannot be written (what the index
    holds stays), and UsageError when another process runs this sweep.
    """
    spec = folder.spec
    with folder.lock(), held() as interruption:
        folder.take_in(spec)
        pending = folder.index.pending(spec)
        for number, trial in enumerate(pending):
            if interruption.take():
                break
            _trial(folder, spec, trial, pending[number:], watcher)
        return interruption.take()


def _trial(folder: SweepFolder, spec: Spec, trial: Trial, left: Sequence[Trial], watcher: Watcher) -> None:
    begun = time.monotonic()
    try:
        scenario = folder.scenario(trial.variant)
        plan = plan_of(spec, trial, scenario)
    except ScenarioError as error:  # what was there when the sweep began no longer is
        watcher.ended(folder.record(trial, "failed", None, str(error), None), None)
        return
    total = len(spec.order)
    left_s = time_left_s(left, folder.index.entries)
    position = Position(trial, spec.values(trial.variant), plan, total - len(left), total, left_s)
    with watcher.begins(position) as observe:
        measured = measure(plan, folder.given(spec, trial, scenario), folder.runs, observe)
    if measured.save_error is not None:
        raise measured.save_error
    reason = str(measured.error) if measured.error is not None else None
    unsummarised = measured.summary is None
    status = "failed" if unsummarised else measured.execution.status
    saved = None if unsummarised else measured.saved  # the reason says where its records are
    entry = folder.record(trial, status, saved, reason, time.monotonic() - begun)
    watcher.ended(entry, measured.summary)


def time_left_s(trials: Sequence[Trial], entries: Mapping[Trial, Entry]) -> float | None:
    """Seconds that trials will take: the mean of their variant's earlier ones, else of all earlier ones."""
    took: dict[int, list[float]] = {}
    for trial, entry in entries.items():
        if entry.status == "completed" and entry.wall_s is not None:
            took.setdefault(trial.variant, []).append(entry.wall_s)
    if not took:
        return None
    usual = statistics.fmean(s for each in took.values() for s in each)
    return sum(statistics.fmean(took.get(trial.variant, [usual])) for trial in trials)
