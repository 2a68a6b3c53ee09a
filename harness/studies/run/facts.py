"""The part of a run's summary that no record holds: how the run ended, what it used, on what machine."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from harness import host
from harness.executors.base import Execution
from harness.stats.little import in_flight
from harness.summary import (
    SUMMARY,
    ContextSwitches,
    Effective,
    Git,
    HostActivity,
    LoadFacts,
    MachineWarning,
    Memory,
    Recording,
    RunFacts,
    System,
)


def facts_of(execution: Execution, environment: Mapping[str, Any]) -> RunFacts:
    """What is known of a run besides its records. environment: as `harness.host.describe` gives it."""
    scenario, load = execution.plan.scenario, execution.plan.load
    return RunFacts(
        schema_version=SUMMARY.version,
        name=scenario.name,
        executor=scenario.executor,
        started_at=execution.started_at,
        status=execution.status,
        scheduled=execution.scheduled,
        error=str(execution.error) if execution.error else None,
        load=LoadFacts(
            arrivals=load.arrivals,
            nominal_rps=execution.offered_rps,
            calibrated_capacity_rps=execution.saturated_rps,
            concurrency=getattr(load, "concurrency", None),
        ),
        startup_s=_startup_s(execution),
        in_flight=in_flight(*execution.counted, execution.records),
        recording=Recording(waits=execution.waits, waited_s=execution.waited_ns / 1e9),
        effective=effective_of(execution),
        memory=_memory(execution),
        context_switches={
            w.name: ContextSwitches(voluntary=w.last.voluntary_switches, involuntary=w.last.involuntary_switches)
            for w in execution.workers
            if w.last is not None
        },
        cpu_wait_s={
            w.name: w.last.cpu_wait_s - w.first.cpu_wait_s
            for w in execution.workers
            if w.first and w.last and w.first.cpu_wait_s is not None and w.last.cpu_wait_s is not None
        },
        system=_system(execution, environment),
    )


def effective_of(execution: Execution) -> dict[str, Effective]:
    """What each worker read back of itself, by its name."""
    return {w.name: effective_from(w.effective) for w in execution.workers if w.effective}


def effective_from(told: Mapping[str, Any]) -> Effective:
    """What a worker told, without what is not of its type: a stage of the user's own may tell anything."""
    try:
        return Effective.model_validate(dict(told))
    except ValidationError as error:
        wrong = {found["loc"][0] for found in error.errors()}
        return Effective.model_validate({key: value for key, value in told.items() if key not in wrong})


def _startup_s(execution: Execution) -> dict[str, dict[str, float]]:
    """By stage and part, the slowest worker's."""
    found: dict[str, dict[str, float]] = {}
    for worker in execution.workers:
        for part, seconds in worker.startup_s.items():
            stage = found.setdefault(worker.stage, {})
            stage[part] = max(stage.get(part, 0.0), seconds)
    return found


def _memory(execution: Execution) -> Memory:
    used = [w for w in execution.workers if w.first is not None and w.last is not None]
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    here = {} if any(w.name == "harness" for w in used) else {"harness": own}
    return Memory(
        peak_rss_mb={**here, **{w.name: w.last.peak_rss_mb for w in used if w.last}},
        first_rss_mb={w.name: w.first.rss_mb for w in used if w.first},
        last_rss_mb={w.name: w.last.rss_mb for w in used if w.last},
        shared_mb={w.name: w.last.shmem_mb for w in used if w.last},
    )


def _system(execution: Execution, environment: Mapping[str, Any]) -> System:
    processes = len([w for w in execution.workers if w.last is not None])
    threads = max((s.options.threads for s in execution.plan.stages), default=1)
    warnings = host.warnings(dict(environment), processes=processes, threads=threads)
    git = environment["git"]
    return System(
        cpu=environment["cpu"]["model"],
        cores=environment["cpu"]["usable_cores"],
        python=environment["python"]["version"],
        libraries=environment["libraries"],
        git=None if git is None else Git(**git),
        during_run=HostActivity(**execution.host),
        warnings=tuple(MachineWarning(**asdict(w)) for w in warnings if w.level != "ok"),
    )
