"""One measured run: execute a Plan, summarise it, save it."""

from __future__ import annotations

import contextlib
import json
import resource
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
from harness.stats.little import in_flight
from harness.stats.summary import summarise_run
from harness.store import SavedRun, to_json
from harness.studies.predict.crosscheck import ladder, meaning
from harness.studies.run.libraries import room_for_the_end
from harness.studies.run.recording import UnfinishedRecords
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
    summary: dict[str, Any] | None
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
            summary = {**summary, "saved": str(saved.path)}
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
            store.write_text(folder / store.SUMMARY, to_json(self.summary) + "\n")
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
    def summary(self) -> dict[str, Any] | None:
        """None where it cannot be computed."""
        return self._computed(self._summary)

    def _summary(self) -> dict[str, Any]:
        run = self._execution
        summary = summarise_run(run.plan, run.records, facts(run, self._environment))
        summary["model"] = _model(run, summary)
        found: dict[str, Any] = json.loads(to_json(summary))  # what is not JSON is found here
        return found

    def _computed(self, compute: Callable[[], Result]) -> Result | None:
        try:
            return compute()
        except Exception as error:
            self._tracebacks.append(traceback.format_exc())
            self.error = self.error or RunFailed(f"the summary could not be computed: {type(error).__name__}: {error}")
            return None


def facts(execution: Execution, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the summary that no record holds: how the run ended, what it used, on what machine."""
    plan = execution.plan
    startup: dict[str, dict[str, float]] = {}
    for worker in execution.workers:
        for part, seconds in worker.startup_s.items():
            stage = startup.setdefault(worker.stage, {})
            stage[part] = max(stage.get(part, 0.0), seconds)
    counted = in_flight(*execution.counted, execution.records)
    processes = len([w for w in execution.workers if w.last is not None])
    threads = max((s.options.threads for s in plan.stages), default=1)
    return {
        "started_at": execution.started_at,
        "status": execution.status,
        "scheduled": execution.scheduled,
        "error": str(execution.error) if execution.error else None,
        "load": {
            "arrivals": plan.load.arrivals,
            "nominal_rps": execution.offered_rps,
            "calibrated_capacity_rps": execution.saturated_rps,
            "concurrency": getattr(plan.load, "concurrency", None),
        },
        "startup_s": startup,
        "in_flight": None if counted is None else asdict(counted),
        "effective": {w.name: dict(w.effective) for w in execution.workers if w.effective},
        "memory": _memory(execution),
        "context_switches": {
            w.name: {"voluntary": w.last.voluntary_switches, "involuntary": w.last.involuntary_switches}
            for w in execution.workers
            if w.last is not None
        },
        "cpu_wait_s": {
            w.name: w.last.cpu_wait_s - w.first.cpu_wait_s
            for w in execution.workers
            if w.first and w.last and w.first.cpu_wait_s is not None and w.last.cpu_wait_s is not None
        },
        "system": {
            "cpu": environment["cpu"]["model"],
            "cores": environment["cpu"]["usable_cores"],
            "python": environment["python"]["version"],
            "libraries": environment["libraries"],
            "git": environment["git"],
            "during_run": dict(execution.host),
            "warnings": [
                asdict(w)
                for w in host.warnings(dict(environment), processes=processes, threads=threads)
                if w.level != "ok"
            ],
        },
    }


def _model(execution: Execution, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What theory and the twin make of the run; nothing for a run that did not end or has no steady state."""
    state = summary["steady_state"]
    if execution.status != "completed" or state is None or state["verdict"] == "saturated":
        return {}
    try:
        rungs = ladder(execution.plan, execution.records)
        return {"rungs": rungs, "meaning": meaning(execution.plan, execution.records, rungs)}
    except Exception as error:  # a model that fails must not cost the measurement, which is not saved yet
        return {"error": f"{type(error).__name__}: {error}"}


def _memory(execution: Execution) -> dict[str, Any]:
    """Sizes in MB of 10**6 bytes. Resident memory counts shared slots and records in every process that maps them."""
    used = [w for w in execution.workers if w.first is not None and w.last is not None]
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    here = {} if any(w.name == "harness" for w in used) else {"harness": own}
    return {
        "peak_rss_mb": {**here, **{w.name: w.last.peak_rss_mb for w in used if w.last}},
        "first_rss_mb": {w.name: w.first.rss_mb for w in used if w.first},
        "last_rss_mb": {w.name: w.last.rss_mb for w in used if w.last},
        "shared_mb": {w.name: w.last.shmem_mb for w in used if w.last},
    }


def resolved(plan: Plan, execution: Execution) -> str:
    """A scenario that runs the same again: every key, and the rate itself where the run measured it."""
    ran = plan.scenario
    head = [f"# {s.name}: {s.input} -> {s.output}, batches up to {s.batch_max}" for s in plan.stages]
    if execution.saturated_rps is not None and execution.offered_rps is not None:
        ran = scenario.with_overrides(ran, [f"load.rate={format_rate(execution.offered_rps)}"])
        head.append(f"# saturated rate: {format_rate(execution.saturated_rps)}")
    return "\n".join(head) + "\n" + scenario.dump(ran)
