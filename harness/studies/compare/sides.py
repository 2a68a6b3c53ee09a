"""The sides of a comparison: one scenario with several settings, or several scenarios, under one load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ScenarioError, UsageError
from harness.executors.blocks import balanced
from harness.plan import Plan, resolve
from harness.scenario import Load, Scenario, load, located, read

MOST_SIDES = 8
FEWEST_BLOCKS = 10
NAMES = "abcdefgh"


@dataclass(frozen=True)
class SideSpec:
    """A side as the user gave it: a scenario file, and what is set over it for this side alone."""

    path: Path
    own: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Side:
    """A side that can be measured. settings: all that is set over the file. label: what tells it from the others."""

    name: str
    label: str
    path: Path
    settings: tuple[str, ...]
    plan: Plan

    @property
    def given(self) -> str:
        """The scenario as the user gave it."""
        return "".join(f"# --set {s}\n" for s in self.settings) + self.path.read_text(encoding="utf-8")


def prepare(
    asked: Sequence[SideSpec], common: Sequence[str], *, blocks: int | None = None, requests: int | None = None
) -> tuple[Side, ...]:
    """The sides, each validated and planned. Raises UsageError, ScenarioError.

    common: what is set for all sides. blocks: by default FEWEST_BLOCKS, or as many more as let each side go first
    equally often. requests: measured in all blocks of a side, by default those of the load; a block gets its share,
    rounded up. The load is the first side's, for all.
    """
    if not 2 <= len(asked) <= MOST_SIDES:
        raise UsageError(f"a comparison has 2 to {MOST_SIDES} sides, not {len(asked)}")
    scenarios = []
    for side in asked:
        for setting in side.own:
            if setting.partition("=")[0].strip().partition(".")[0] == "load":
                raise UsageError(
                    "the load is the same for all sides",
                    where=setting,
                    hint="--set changes it for all; `harness sweep` runs one scenario under several loads.",
                )
        scenarios.append(load(side.path, (*common, *side.own)))
    blocks = balanced(len(asked), FEWEST_BLOCKS) if blocks is None else blocks
    shared = _block_load(scenarios[0], blocks, requests)
    sides = []
    for name, side, scenario in zip(NAMES, asked, scenarios, strict=False):
        settings = (*common, *side.own)
        try:
            plan = resolve(scenario.model_copy(update={"load": shared}))
        except ScenarioError as error:
            raise located(error, read(side.path), settings) from None
        sides.append(Side(name, side.label or _label(side), side.path, settings, replace(plan, blocks=blocks)))
    _threads_agree(sides)
    return tuple(sides)


def _block_load(scenario: Scenario, blocks: int, requests: int | None) -> Load:
    """The load of one block. Raises UsageError."""
    given = scenario.load
    if given.duration is not None and requests is None:
        raise UsageError(
            "a comparison counts requests, and the load has a duration",
            where=f"{scenario.name}: load.duration",
            hint="Give --requests N, for each side in all.",
        )
    total = requests or given.requests
    return given.model_copy(update={"requests": total and math.ceil(total / blocks), "duration": None})


def _label(side: SideSpec) -> str:
    return ", ".join(s.strip().removeprefix("stages.") for s in side.own) or "as given"


def _threads_agree(sides: Sequence[Side]) -> None:
    """Runtimes count threads by process, and all sides of the asyncio executor share one. Raises UsageError."""
    inside = [side.plan for side in sides if side.plan.scenario.executor == "asyncio"]
    if len(inside) > 1 and len({stage.options.threads for plan in inside for stage in plan.stages}) > 1:
        raise UsageError(
            "sides of the asyncio executor share a process, and so the number of threads",
            where="stages: threads",
            hint="Use executor: process to compare numbers of threads.",
        )


def common_stages(sides: Sequence[Side]) -> list[str]:
    """The names of the stages that every side has, in the order of the first."""
    first, *others = (side.plan.layout.names for side in sides)
    return [name for name in first if all(name in other for other in others)]
