"""Where the service time of a stage goes: its operators, by the profiler of its runtime, and its Python code.

Under load, the stage is sampled inside its workers while the scenario runs; alone, it is given one batch after another.
Either way sampling slows it down, so nothing of it counts as a measurement and no run is saved.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError, RunFailed, SaveError, UsageError
from harness.executors.progress import Observer
from harness.executors.session import execute
from harness.interruption import Interrupted
from harness.outputs.serve import serve
from harness.plan import Plan, StagePlan
from harness.scenario.model import Inference
from harness.stages.base import Sampling
from harness.stages.profiling import Sample
from harness.stages.source import load

WARM_UP = 5
"""Calls before the sampled ones, of a stage alone."""


@dataclass(frozen=True)
class Row:
    """An operator: how often a call of the stage runs it, and how long it takes. share: of all profiled calls."""

    name: str
    device: str
    count: float
    self_ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where the service time of a stage went. plain_ms, profiled_ms: mean of a call, without and with the profiler.

    plain_ms is None where the runtime's profiler cannot be off.
    """

    scenario: str
    stage: str
    mode: Literal["under load", "alone"]
    source: str
    workers: int
    calls: int
    requests: int
    plain_ms: float | None
    profiled_ms: float
    operators: tuple[Row, ...]
    """All of them, the longest first."""
    outside: float
    """Share of the profiled calls' time in no operator on the CPU: Python, copies, waiting."""


@dataclass(frozen=True)
class Files:
    """Where to write a trace for Perfetto and a flame view (HTML), if at all."""

    trace: Path | None = None
    flame: Path | None = None


def stage_of(plan: Plan, name: str | None) -> StagePlan:
    """The stage of this name; without one the first inference. Raises UsageError."""
    if name is None:
        return next((stage for stage in plan.stages if isinstance(stage.options, Inference)), plan.stages[0])
    found = next((stage for stage in plan.stages if stage.name == name), None)
    if found is None:
        names = ", ".join(stage.name for stage in plan.stages)
        raise UsageError(f"there is no stage {name!r}: {plan.scenario.name} has {names}", where="--stage")
    return found


def profile(
    plan: Plan, stage: StagePlan, calls: int, files: Files, *, alone: bool, observe: Observer = lambda progress: None
) -> tuple[Profile, HarnessError | None]:
    """Sample so many calls of a stage in each of its workers. The error says why a file could not be written.

    Raises UsageError, and the error that ended the run.
    """
    if files.flame is not None and find_spec("pyinstrument") is None:
        raise UsageError(
            "pyinstrument is not installed", where="--flame", hint="pip install 'tail-latency-harness[profile]'"
        )
    with tempfile.TemporaryDirectory(prefix="harness-profile-") as folder:
        sampling = Sampling(folder, 0, calls, flame=files.flame is not None)
        if alone:
            _alone(plan, stage, sampling)
        else:
            watched = replace(plan, sampling={stage.name: replace(sampling, from_row=plan.first_measured)})
            execution = execute(watched, observe)
            if execution.error is not None:
                raise execution.error
            if execution.status == "interrupted":
                raise Interrupted(execution.signal)
        samples = [Sample.read(path) for path in sorted(Path(folder).glob("*.json"))]
        if not samples:
            raise RunFailed(
                f"there were not {calls + 1} calls to sample",
                where=f"stage {stage.name}",
                hint="Raise load.requests, or lower --calls.",
            )
        unwritten = _keep(folder, files)
        return _profile(plan, stage, samples, "alone" if alone else "under load"), unwritten


def _alone(plan: Plan, stage: StagePlan, sampling: Sampling) -> None:
    """Serve full batches in this process, by the stages up to this one."""
    images = load(plan.scenario.source, plan.seed("content"), plan.seed("images"))
    try:
        batch = stage.batch_max
        count = (WARM_UP + (3 if sampling.flame else 2) * sampling.calls) * batch
        usable = [entry for entry in images.entries if not entry.error]
        again = replace(images, entries=tuple(usable[index % len(usable)] for index in range(count)))
        watched = replace(plan, sampling={stage.name: replace(sampling, from_row=WARM_UP * batch)})
        serve(watched, plan.stages[: stage.index + 1], again, stage.index)
    finally:
        images.close()


def _profile(plan: Plan, stage: StagePlan, samples: Sequence[Sample], mode: Literal["under load", "alone"]) -> Profile:
    """The samples of all workers together."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    times: dict[tuple[str, str], float] = defaultdict(float)
    for sample in samples:
        for operator in sample.operators:
            key = operator.name, operator.device
            counts[key] += operator.count
            times[key] += operator.self_us
    profiled = [ns for sample in samples for ns in sample.profiled_ns]
    plain = [ns for sample in samples for ns in sample.plain_ns]
    calls, total_us = len(profiled), sum(profiled) / 1e3
    rows = [
        Row(name, device, counts[name, device] / calls, us / 1e3 / calls, us / total_us)
        for (name, device), us in times.items()
    ]
    on_cpu = sum(us for (_, device), us in times.items() if device == "cpu")
    return Profile(
        scenario=plan.scenario.name,
        stage=stage.name,
        mode=mode,
        source=samples[0].source,
        workers=len(samples),
        calls=calls,
        requests=sum(sample.items for sample in samples),
        plain_ms=sum(plain) / len(plain) / 1e6 if plain else None,
        profiled_ms=total_us / 1e3 / calls,
        operators=tuple(sorted(rows, key=lambda row: -row.self_ms)),
        outside=max(0.0, 1 - on_cpu / total_us),
    )


def _keep(folder: str, files: Files) -> HarnessError | None:
    """Copy the traces of all workers, as one, and a flame view to where the user wants them; return why that failed."""
    traces, flames = (sorted(Path(folder).glob(pattern)) for pattern in ("*.trace", "*.html"))
    for wanted, found, option in ((files.trace, traces, "--trace"), (files.flame, flames, "--flame")):
        if wanted is None:
            continue
        if not found:
            why = "the runtime keeps no timeline" if option == "--trace" else "there were too few calls for it"
            return UsageError(f"nothing to write: {why}", where=f"{option} {wanted}")
        try:
            if len(found) == 1 or option == "--flame":
                shutil.copyfile(found[0], wanted)
            else:
                events = [event for path in found for event in json.loads(path.read_text("utf-8"))["traceEvents"]]
                wanted.write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
        except OSError as error:
            return SaveError(f"cannot write: {error.strerror}", where=str(wanted))
    return None
