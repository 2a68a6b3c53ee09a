"""The sides of a comparison: variants of one scenario, or several scenarios, under one load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import ScenarioError, UsageError
from harness.executors.blocks import balanced
from harness.executors.kind import kind_of
from harness.plan import resolve
from harness.scenario import Load, Scenario, located, read
from harness.studies.variants import Variant, plan_variant

MOST_SIDES = 8
FEWEST_BLOCKS = 10
NAMES = "abcdefgh"


def plan_side(path: Path, common: Sequence[str], own: Sequence[str], option: str, label: str = "") -> Variant:
    """A scenario with overrides for all sides and for this one alone. Raises UsageError, also for a load of its own.

    option: with which the user gave `own`.
    """
    for text in own:
        if text.partition("=")[0].strip().partition(".")[0] == "load":
            raise UsageError(
                "the load is the same for all sides",
                where=f"{option} {text}",
                hint="--set changes it for all; `harness sweep` runs one scenario under several loads.",
            )
    return plan_variant(path, common, own, label, option)


def prepare(variants: Sequence[Variant], *, blocks: int | None = None, requests: int | None = None) -> list[Variant]:
    """Make the variants sides of one comparison: named a, b, ..., in blocks, all with the first one's load.

    blocks: of each side; by default FEWEST_BLOCKS, or the next number for which each side goes first equally often.
    requests: measured ones of a side in all its blocks together, by default those of the load; each block gets its
    share, rounded up. Raises UsageError.
    """
    if not 2 <= len(variants) <= MOST_SIDES:
        raise UsageError(f"a comparison has 2 to {MOST_SIDES} sides, not {len(variants)}")
    blocks = balanced(len(variants), FEWEST_BLOCKS) if blocks is None else blocks
    shared = _block_load(variants[0].plan.scenario, blocks, requests)
    sides = []
    for name, variant in zip(NAMES, variants, strict=False):
        try:
            plan = resolve(variant.plan.scenario.model_copy(update={"load": shared}))
        except ScenarioError as error:
            raise located(error, read(variant.path), variant.overrides) from None
        sides.append(replace(variant, name=name, plan=replace(plan, blocks=blocks)))
    _threads_agree(sides)
    return sides


def _block_load(scenario: Scenario, blocks: int, requests: int | None) -> Load:
    """The load of one block. Raises UsageError."""
    given = scenario.load
    if given.duration is not None and requests is None:
        raise UsageError(
            "a comparison counts requests, and the load has a duration",
            where=f"{scenario.name}: load.duration",
            hint="Give --requests N: of each side, in all its blocks together.",
        )
    total = requests or given.requests
    return given.model_copy(update={"requests": total and math.ceil(total / blocks), "duration": None})


def _threads_agree(sides: Sequence[Variant]) -> None:
    """Libraries set threads per process, which sides whose stages run in this one share. Raises UsageError."""
    inside = [side.plan for side in sides if kind_of(side.plan).shares_memory]
    if len(inside) > 1 and len({stage.options.threads for plan in inside for stage in plan.stages}) > 1:
        raise UsageError(
            f"sides of the {inside[0].scenario.executor} executor share one process, and with it the number of threads",
            where="stages: threads",
            hint="Use executor: process to compare numbers of threads.",
        )


def common_stages(sides: Sequence[Variant]) -> list[str]:
    """The names of the stages that every side has, in the order of the first."""
    first, *others = (side.plan.layout.names for side in sides)
    return [name for name in first if all(name in other for other in others)]
