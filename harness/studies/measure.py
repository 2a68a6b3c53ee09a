"""One measured run: execute a Plan, summarise it, save it."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import host, scenario, store
from harness.errors import SaveError
from harness.executors.base import Execution
from harness.executors.progress import Observer, Progress
from harness.executors.session import execute
from harness.interruption import held
from harness.plan import Plan
from harness.scenario.units import format_rate
from harness.stats.little import in_flight
from harness.stats.summary import summarise_run
from harness.store import SavedRun, to_json
from harness.studies.crosscheck import ladder, meaning


@dataclass(frozen=True)
class Measured:
    """A run that has ended, well or not. saved is None when it could not be written: save_error then says why.

    signal: the first that came before it was saved, else 0. One that came when the load had ended has not interrupted
    the run; it is for the caller to end then.
    """

    execution: Execution
    summary: dict[str, Any]
    saved: SavedRun | None
    save_error: SaveError | None = None
    signal: int = 0


def measure(plan: Plan, given: str, out: Path, observe: Observer = lambda progress: None) -> Measured:
    """Run a Plan, summarise and save it under `out`. given: the text of the scenario as the user gave it."""
    environment = host.describe()
    timeline = host.Timeline()

    def observing(progress: Progress) -> None:
        timeline.note()
        observe(progress)

    with held() as interruption:
        execution = execute(plan, observing)
        summary = summarise_run(plan, execution.records, facts(execution, environment))
        summary["model"] = _model(execution, summary)
        files = _texts(execution, given, {**environment, "cpu_over_time": timeline.shares()})
        try:
            saved = store.save(out, plan.scenario.name, summary, execution.records, files)
        except SaveError as error:
            return Measured(execution, summary, None, error, signal=interruption.take())
        summary = {**summary, "saved": str(saved.path)}
        return Measured(execution, summary, saved, signal=interruption.take())


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
            "calibrated_capacity_rps": execution.capacity_rps,
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


def _texts(execution: Execution, given: str, environment: Mapping[str, Any]) -> dict[str, str]:
    """The files of a run's folder besides summary and records, by name."""
    files = {
        "scenario.yaml": given,
        "resolved.yaml": resolved(execution.plan, execution),
        "environment.json": to_json(
            {
                **environment,
                "during_run": dict(execution.host),
                "workers": {w.name: {"pid": w.pid, "effective": dict(w.effective)} for w in execution.workers},
            }
        )
        + "\n",
    }
    if execution.error is not None:
        files["failure.txt"] = (execution.error.details or str(execution.error)) + "\n"
    return files


def resolved(plan: Plan, execution: Execution) -> str:
    """A scenario that runs the same again: every key, and the rate itself where it was found by calibration."""
    ran = plan.scenario
    head = [f"# {s.name}: {s.input} -> {s.output}, batches up to {s.batch_max}" for s in plan.stages]
    if execution.capacity_rps is not None and execution.offered_rps is not None:
        ran = scenario.with_overrides(ran, [f"load.rate={format_rate(execution.offered_rps)}"])
        head.append(f"# calibrated capacity: {format_rate(execution.capacity_rps)}")
    return "\n".join(head) + "\n" + scenario.dump(ran)
