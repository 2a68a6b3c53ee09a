"""Which parts of a pipeline are pinned to CPUs, whether this machine can do that, and what speaks against it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from harness.errors import ScenarioError
from harness.host import placement
from harness.host.files import ROOT
from harness.plan import Plan
from harness.units import format_cpus

PRODUCER = "producer"


@dataclass(frozen=True)
class Pinned:
    """The producer or a stage, which a scenario pins to CPUs.

    name: a stage's, or `producer`. key: what sets it. cpus: ascending. threads: how many compute threads share them, of
    all workers together; 0 of a stage that does not keep a core busy.
    """

    name: str
    key: str
    cpus: tuple[int, ...]
    threads: int = 1


def pinned(plan: Plan) -> tuple[Pinned, ...]:
    """What is pinned, the producer first."""
    cpus = plan.load.cpus
    first = [] if cpus is None else [Pinned(PRODUCER, "load.cpus", cpus)]
    stages = [stage.options for stage in plan.stages]
    return (
        *first,
        *(
            Pinned(s.name, f"stages.{s.name}.cpus", s.cpus, s.workers * s.threads if s.computes else 0)
            for s in stages
            if s.cpus is not None
        ),
    )


def check_usable(plan: Plan, root: Path = ROOT) -> None:
    """Raise ScenarioError where a CPU is not there, or may not be used by this process (its affinity, its cpuset)."""
    for part in pinned(plan):
        where = f"{plan.scenario.name}: {part.key}"
        if not hasattr(os, "sched_setaffinity"):
            raise ScenarioError("this system pins nothing to CPUs", where=where, hint="Leave it out.")
        there, allowed = placement.online(root), placement.of_thread()
        absent = sorted({*part.cpus} - {*there}) if there else []
        if absent:
            raise ScenarioError(
                f"{_cpus(absent)} {_is(absent)} not there: this machine has {_cpus(there)}",
                where=where,
                hint=f"Choose from {format_cpus(allowed)}.",
            )
        forbidden = sorted({*part.cpus} - {*allowed})
        if forbidden:
            raise ScenarioError(
                f"{_cpus(forbidden)} may not be used: the affinity or cpuset of this process leaves {_cpus(allowed)}",
                where=where,
                hint=f"Choose from {format_cpus(allowed)}, or start it with more (taskset, --cpuset-cpus).",
            )


def conflicts(parts: Sequence[Pinned]) -> list[str]:
    """Why pinned parts disturb one another or themselves: CPUs that two share, more compute threads than CPUs."""
    found = []
    for one, other in combinations(parts, 2):
        common = sorted({*one.cpus} & {*other.cpus})
        if common:
            found.append(f"{one.name} and {other.name} share {_cpus(common)}")
    for part in parts:
        if part.threads > len(part.cpus):
            found.append(f"{part.name} has {part.threads} compute threads on {_cpus(part.cpus)}")
    return found


def _cpus(cpus: Sequence[int]) -> str:
    return f"{'CPU' if len(cpus) == 1 else 'CPUs'} {format_cpus(cpus)}"


def _is(cpus: Sequence[int]) -> str:
    return "is" if len(cpus) == 1 else "are"
