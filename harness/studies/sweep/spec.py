"""What a sweep is asked for; every variant is checked before the first one runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from harness.documents import Document, Kind, key
from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.scenario import Axis, Scenario, combinations, dump, read, with_overrides
from harness.studies.sweep.trials import Trial, Value, shuffled_rounds
from harness.studies.variants import Variant, label_of, plan_variants

MOST_TRIALS = 10_000
_OPTIONS = {
    "text": "the scenario file", "overrides": "--set", "axes": "--vary", "repeats": "--repeat", "seed": "--seed",
}  # fmt: skip
Item = TypeVar("Item")


class SavedAxis(Document):
    """An axis as sweep.json has it."""

    key: str
    values: tuple[str, ...]
    """As `--set` takes them."""


class Spec(Document):
    """All that decides what a sweep measures: sweep.json."""

    schema_version: int = 1
    scenario: str
    """Its name."""
    text: str
    """The scenario file as given."""
    overrides: Annotated[tuple[str, ...], key("settings")]
    """What is set in every variant."""
    saved_axes: Annotated[tuple[SavedAxis, ...], key("axes")]
    repeats: int
    seed: int
    """It decides the order of the trials."""
    order: tuple[Trial, ...]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The varied keys with their values."""
        return tuple(Axis(axis.key, axis.values) for axis in self.saved_axes)

    @property
    def keys(self) -> list[str]:
        """The varied keys."""
        return [axis.key for axis in self.axes]

    @property
    def variants(self) -> range:
        """Their numbers, from 1. The last axis changes fastest."""
        return range(1, math.prod(len(axis.texts) for axis in self.axes) + 1)

    def values(self, variant: int) -> dict[str, Value]:
        """The values of a variant by key, see `Axis.scalars`."""
        return dict(zip(self.keys, _nth(variant, [axis.scalars for axis in self.axes]), strict=True))

    def own_overrides(self, variant: int) -> tuple[str, ...]:
        """What distinguishes a variant: the value of each axis, as KEY=VALUE."""
        return _nth(variant, [axis.overrides for axis in self.axes])

    def overrides_of(self, variant: int) -> tuple[str, ...]:
        """All that is set over the scenario for a variant."""
        return (*self.overrides, *self.own_overrides(variant))

    def seed_of(self, trial: Trial, scenario: Scenario) -> tuple[str, ...]:
        """The override of a repeat: load.seed plus the number of repeats before it, unless load.seed is varied.

        All variants of a round then meet the same arrivals and images, and those of the next round other ones.
        """
        if trial.repeat == 1 or "load.seed" in self.keys:
            return ()
        return (f"load.seed={scenario.load.seed + trial.repeat - 1}",)

    def differences(self, given: Mapping[str, Any]) -> list[str]:
        """The options whose given parts differ from this spec. A part that is None was not given."""
        return [_OPTIONS[name] for name, part in given.items() if part is not None and part != getattr(self, name)]


SWEEP = Kind("a sweep", Spec)


def prepare(
    path: Path, overrides: Sequence[str], axes: Sequence[Axis], repeats: int, seed: int
) -> tuple[Spec, list[Scenario]]:
    """The spec and the scenario of each variant, all validated and planned. Raises UsageError."""
    read(path)  # or an error that names the file
    keys = [axis.key for axis in axes]
    for override in overrides:
        if override.partition("=")[0].strip() in keys:
            raise UsageError("this key is varied, too", where=f"--set {override}", hint="Leave out one of the two.")
    combined = combinations(
        axes, MOST_TRIALS // repeats, "variants" if repeats == 1 else f"variants with {repeats} repeats each"
    )
    variants = plan_variants(path, overrides, combined, label_of)
    _check_all_differ(variants)
    spec = Spec(
        scenario=variants[0].plan.scenario.name,
        text=path.read_text(encoding="utf-8"),
        overrides=tuple(overrides),
        saved_axes=tuple(SavedAxis(key=axis.key, values=axis.texts) for axis in axes),
        repeats=repeats,
        seed=seed,
        order=shuffled_rounds(len(variants), repeats, seed),
    )
    return spec, [variant.plan.scenario for variant in variants]


def plan_of(spec: Spec, trial: Trial, scenario: Scenario) -> Plan:
    """The Plan of a trial, from the scenario of its variant. Raises ScenarioError."""
    seed = spec.seed_of(trial, scenario)
    return resolve(with_overrides(scenario, seed) if seed else scenario)


def _check_all_differ(variants: Sequence[Variant]) -> None:
    first: dict[str, Variant] = {}
    for variant in variants:
        before = first.setdefault(dump(variant.plan.scenario), variant)
        if before is not variant:
            same = f"{', '.join(before.own)} and {', '.join(variant.own)}"
            raise UsageError(f"two variants are the same scenario: {same}", where="--vary")


def _nth(variant: int, axes: Sequence[Sequence[Item]]) -> tuple[Item, ...]:
    return next(itertools.islice(itertools.product(*axes), variant - 1, None))
