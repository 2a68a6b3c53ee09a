"""A sweep as far as it has come: its variants, the Pareto front, the twin beside it, and what to be careful about."""

from __future__ import annotations

from harness.scenario.model import Closed
from harness.studies.sweep.document import SweepResult, SweptAxis, Trials
from harness.studies.sweep.figures import of_variants
from harness.studies.sweep.folder import Index, SweepFolder
from harness.studies.sweep.frontier import pareto
from harness.studies.sweep.spec import Spec
from harness.studies.sweep.table import rows

LONGEST = 40
"""Characters of a text that names a machine."""


def result(folder: SweepFolder, simulate: bool = False) -> SweepResult:
    """A sweep as far as it has come. simulate: with the twin's predictions. Raises UsageError."""
    spec, index = folder.spec, folder.index
    entries = [index.entries[trial] for trial in spec.order if trial in index.entries]
    variants = of_variants(folder, spec, entries)
    points = {
        v.number: (v.throughput_rps, v.e2e_ms.p99)
        for v in variants
        if v.throughput_rps is not None and v.e2e_ms.p99 is not None
    }
    numbers = list(points)
    twin = None
    if simulate:
        from harness.studies.sweep.prediction import predict  # the compiled twin, which nothing else here needs

        twin = predict(folder, spec, entries, variants)
    statuses = [entry.status for entry in entries]
    return SweepResult(
        folder=str(folder.path),
        scenario=spec.scenario,
        overrides=spec.overrides,
        axes=tuple(SweptAxis(key=axis.key, values=axis.scalars) for axis in spec.axes),
        repeats=spec.repeats,
        seed=spec.seed,
        trials=Trials(
            wanted=len(spec.order),
            completed=statuses.count("completed"),
            failed=statuses.count("failed"),
            interrupted=statuses.count("interrupted"),
        ),
        variants=tuple(variants),
        front=tuple(numbers[i] for i in pareto(list(points.values()))),
        twin=twin,
        rows=tuple(rows(folder, spec, index, twin)),
        notes=(*_machines(index), *_relative(folder, spec), *_capped(folder, spec)),
    )


def _machines(index: Index) -> list[str]:
    """What changed of the machine or its software between the runs."""
    if len(index.machines) < 2:
        return []
    first = index.machines[0]
    names = dict.fromkeys(name for machine in index.machines for name in machine)
    changed = [name for name in names if any(m.get(name) != first.get(name) for m in index.machines)]
    seen = {name: list(dict.fromkeys(str(m.get(name))[:LONGEST] for m in index.machines)) for name in changed}
    told = [f"{name} ({' / '.join(values[:3])}{' / ...' if len(values) > 3 else ''})" for name, values in seen.items()]
    return [f"The machine or its software changed during the sweep: {', '.join(told)}. Compare with care."]


def _relative(folder: SweepFolder, spec: Spec) -> list[str]:
    """What a utilisation means beside an axis that changes the saturated rate."""
    load = folder.scenario(1).load
    others = [key for key in spec.keys if not key.startswith("load")]
    if isinstance(load, Closed) or load.utilisation is None or not others:
        return []
    return [
        "load.utilisation is a share of each variant's own saturated rate, so variants that differ in"
        f" {', '.join(others)} got different rates: see offered. For the same traffic in every variant:"
        " --vary load.rate=..."
    ]


def _capped(folder: SweepFolder, spec: Spec) -> list[str]:
    """Batches that cannot get as large as an axis says."""
    asked = {key.split(".")[1] for key in spec.keys if key.startswith("stages.") and key.endswith(".batch.max")}
    scenarios = [folder.scenario(variant) for variant in spec.variants] if asked else []
    stages = [s for found in scenarios for s in found.stages if s.name in asked and s.batching.max > s.capacity]
    return [
        f"{name}: batches are limited to the stage's capacity of {min(s.capacity for s in stages if s.name == name)}."
        f" Raise stages.{name}.capacity with the batch."
        for name in dict.fromkeys(s.name for s in stages)
    ]
