"""One measured run: execute a Plan, summarise it, save it."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from harness import host, scenario, store
from harness.errors import HarnessError, RunFailed, SaveError
from harness.executors.base import Execution
from harness.executors.progress import Observer, Progress
from harness.executors.session import execute
from harness.interruption import held
from harness.plan import Plan
from harness.stats.summary import summarise_run
from harness.store import SavedRun, to_json
from harness.studies.predict.crosscheck import ladder, meaning
from harness.studies.run.facts import facts_of
from harness.studies.run.libraries import room_for_the_end
from harness.studies.run.recording import UnfinishedRecords
from harness.summary import SUMMARY, ModelLadder, Summary
from harness.units import format_rate

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured:
    """A run that has ended, well or not.

    saved is None when it could not be written: save_error then says why. summary is None when it could not be computed:
    summary_error then says why, and what is saved are the records and the failure. signal: the first that came before
    it was saved, else 0. One that came when the load had ended has not interrupted the run; it is for the caller to end
    then.
    """

    execution: Execution
    summary: Summary | None
    saved: SavedRun | None
    save_error: SaveError | None = None
    summary_error: RunFailed | None = None
    signal: int = 0

    @property
    def error(self) -> HarnessError | None:
        """What went wrong but for the saving: in the run, else behind it."""
        return self.execution.error or self.summary_error


def measure(plan: Plan, given: str, out: Path, observe: Observer = lambda progress: None) -> Measured:
    """Run a Plan, save it under `out`, summarise it. given: the text of the scenario as the user gave it.

    The records are on disk before anything is computed from them: whatever that raises does not cost the run. Raises
    RunFailed where there is no room for what this takes; nothing has been run then.
    """
    room = room_for_the_end()
    environment = host.describe()
    timeline = host.Timeline()

    def observing(progress: Progress) -> None:
        timeline.note()
        observe(progress)

    home = out / plan.scenario.name
    with held() as interruption, contextlib.closing(UnfinishedRecords(home)) as unfinished:
        execution = execute(plan, observing, destination=unfinished.destination)
        room.close()
        description = _Description(execution, unfinished, given, {**environment, "cpu_over_time": timeline.shares()})
        try:
            saved, unsaved = SavedRun(store.new_folder(home, description.fill, what="the run")), None
        except SaveError as error:
            saved, unsaved = None, error
        summary, failed = description.summary, description.error
        if summary is not None and saved is not None:
            summary = summary.model_copy(update={"saved": str(saved.path)})
        if failed is not None and saved is not None:
            failed.where = str(saved.path)
            failed.hint = f"The records are saved there, whole. {saved.path / store.FAILURE} holds the traceback."
        return Measured(execution, summary, saved, unsaved, failed, interruption.take())


class _Description:
    """What a run's folder holds: its records, and what is computed from them once they are there.

    error: why that could not be computed.
    """

    def __init__(
        self, execution: Execution, unfinished: UnfinishedRecords, given: str, environment: Mapping[str, Any]
    ) -> None:
        self._execution = execution
        self._unfinished = unfinished
        self._given = given
        self._environment = environment
        self._tracebacks = [execution.error.details or str(execution.error)] if execution.error is not None else []
        self.error: RunFailed | None = None

    def fill(self, folder: Path) -> None:
        """Write all of it. Raises OSError, SaveError."""
        run = self._execution
        store.write_raw(folder, run.plan.scenario.name, run.started_at, run.records, self._texts, self._unfinished.path)
        if self.summary is not None:
            store.write_summary(folder, self.summary)
        if self._tracebacks:
            store.write_text(folder / store.FAILURE, "\n".join(self._tracebacks) + "\n")

    @cached_property
    def _texts(self) -> dict[str, str]:
        """The other files of the folder, by name."""
        run, environment = self._execution, self._environment
        workers = {w.name: {"pid": w.pid, "effective": dict(w.effective)} for w in run.workers}
        machine = {**environment, "during_run": dict(run.host), "workers": workers}
        texts = {
            "scenario.yaml": self._given,
            "resolved.yaml": self._computed(lambda: resolved(run.plan, run)),
            "environment.json": self._computed(lambda: to_json(machine) + "\n"),
        }
        return {name: text for name, text in texts.items() if text is not None}

    @cached_property
    def summary(self) -> Summary | None:
        """None where it cannot be computed."""
        return self._computed(self._summary)

    def _summary(self) -> Summary:
        run = self._execution
        summary = summarise_run(run.plan, run.records, facts_of(run, self._environment))
        summary = summary.model_copy(update={"model": _model(run, summary)})
        # As it will be read: what is not JSON, or would be refused, is found here.
        return SUMMARY.parse(json.loads(to_json(summary)), store.SUMMARY_FILE)

    def _computed(self, compute: Callable[[], Result]) -> Result | None:
        try:
            return compute()
        except Exception as error:
            self._tracebacks.append(traceback.format_exc())
            self.error = self.error or RunFailed(f"the summary could not be computed: {type(error).__name__}: {error}")
            return None


def _model(execution: Execution, summary: Summary) -> ModelLadder:
    """What theory and the twin make of the run; nothing for a run that did not end or has no steady state."""
    if execution.status != "completed" or summary.steady_state is None or summary.saturated:
        return ModelLadder()
    try:
        rungs = ladder(execution.plan, execution.records)
        return ModelLadder(rungs=rungs, meaning=meaning(execution.plan, execution.records, rungs))
    except Exception as error:  # a model that fails must not cost the measurement, which is not saved yet
        return ModelLadder(error=f"{type(error).__name__}: {error}")


def resolved(plan: Plan, execution: Execution) -> str:
    """A scenario that runs the same again: every key, and the rate itself where the run measured it."""
    ran = plan.scenario
    head = [f"# {s.name}: {s.input} -> {s.output}, batches up to {s.batch_max}" for s in plan.stages]
    if execution.saturated_rps is not None and execution.offered_rps is not None:
        ran = scenario.with_overrides(ran, [f"load.rate={format_rate(execution.offered_rps)}"])
        head.append(f"# saturated rate: {format_rate(execution.saturated_rps)}")
    return "\n".join(head) + "\n" + scenario.dump(ran)
