"""What a sweep is asked for, every cell of it checked before the first one runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError, UsageError
from harness.plan import Plan, resolve
from harness.scenario import Scenario, dump, load, located, read, with_overrides
from harness.studies.sweep.grid import Axis, Trial, shuffled_rounds

MOST_TRIALS = 10_000
_WORDS = {
    "text": "the scenario file", "settings": "--set", "axes": "--grid", "repeats": "--repeat", "seed": "--seed",
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """All that decides what a sweep measures. text: of the scenario file. order: of the trials."""

    scenario: str
    text: str
    settings: tuple[str, ...]
    axes: tuple[Axis, ...]
    repeats: int
    seed: int
    order: tuple[Trial, ...]

    @property
    def keys(self) -> list[str]:
        """Of the axes."""
        return [axis.key for axis in self.axes]

    @property
    def cells(self) -> range:
        """Their numbers. The last axis changes fastest."""
        return range(1, math.prod(len(axis.values) for axis in self.axes) + 1)

    def values(self, cell: int) -> dict[str, Any]:
        """Of a cell by key, see `Axis.typed`."""
        return dict(zip(self.keys, _nth(cell, [axis.typed for axis in self.axes]), strict=True))

    def settings_of(self, cell: int) -> tuple[str, ...]:
        """What is set over the scenario for a cell."""
        values = _nth(cell, [axis.values for axis in self.axes])
        return (*self.settings, *(f"{key}={value}" for key, value in zip(self.keys, values, strict=True)))

    def seed_of(self, trial: Trial, scenario: Scenario) -> tuple[str, ...]:
        """What is set besides for a repeat: load.seed plus the repeats before it, unless an axis gives the seeds.

        So all cells of a round meet the same arrivals and images, and every round others.
        """
        if trial.repeat == 1 or "load.seed" in self.keys:
            return ()
        return (f"load.seed={scenario.load.seed + trial.repeat - 1}",)

    def differences(self, given: Mapping[str, Any]) -> list[str]:
        """Which of some of the parts, by name, are not this one's; None stands for one that is not given."""
        return [_WORDS[name] for name, part in given.items() if part is not None and part != getattr(self, name)]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Spec:
        """What `as_dict` gave. Raises KeyError, TypeError."""
        axes = tuple(Axis(axis["key"], tuple(axis["values"])) for axis in found["axes"])
        order = tuple(Trial(**trial) for trial in found["order"])
        return cls(**{**found, "settings": tuple(found["settings"]), "axes": axes, "order": order})


def prepare(
    path: Path, settings: Sequence[str], axes: Sequence[Axis], repeats: int, seed: int
) -> tuple[Spec, list[Scenario]]:
    """The spec and the scenario of each cell, every one validated and planned. Raises UsageError, ScenarioError."""
    read(path)  # or an error that names the file
    _check(axes, settings, repeats)
    asked = Spec("", path.read_text(encoding="utf-8"), tuple(settings), tuple(axes), repeats, seed, ())
    scenarios = [_cell(path, asked, cell) for cell in asked.cells]
    _all_differ(asked, [dump(scenario) for scenario in scenarios])
    order = shuffled_rounds(len(scenarios), repeats, seed)
    return Spec(scenarios[0].name, asked.text, asked.settings, asked.axes, repeats, seed, order), scenarios


def plan_of(spec: Spec, trial: Trial, scenario: Scenario) -> Plan:
    """The Plan of a trial, from the scenario of its cell. Raises ScenarioError."""
    seed = spec.seed_of(trial, scenario)
    return resolve(with_overrides(scenario, seed) if seed else scenario)


def _check(axes: Sequence[Axis], settings: Sequence[str], repeats: int) -> None:
    keys = [axis.key for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError("two of them have this key", where=f"--grid {twice}", hint="Put all its values into one.")
    for setting in settings:
        if setting.partition("=")[0].strip() in keys:
            raise UsageError("the grid sets this key too", where=f"--set {setting}", hint="Leave out one of the two.")
    trials = math.prod(len(axis.values) for axis in axes) * repeats
    if trials > MOST_TRIALS:
        raise UsageError(f"{trials:,} runs, and a sweep has {MOST_TRIALS:,} at most", where="--grid")


def _cell(path: Path, spec: Spec, cell: int) -> Scenario:
    settings = spec.settings_of(cell)
    try:
        scenario = load(path, settings)
        try:
            resolve(scenario)
        except ScenarioError as error:
            raise located(error, read(path), settings) from None
    except ScenarioError as error:
        raise _as_typed(error, settings[len(spec.settings) :]) from None
    return scenario


def _as_typed(error: ScenarioError, mine: Sequence[str]) -> ScenarioError:
    """An error that names settings of a cell, with --grid before them, or else with the cell that it occurs in."""
    what, where = error.what, error.where
    for setting in mine:
        what, where = (text.replace(f"--set {setting}", f"--grid {setting}") for text in (what, where))
    if "--grid" not in what + where:
        what += f" (in the cell {', '.join(mine)})"
    return ScenarioError(what, where=where, hint=error.hint)


def _all_differ(spec: Spec, texts: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for cell, text in zip(spec.cells, texts, strict=True):
        before = first.setdefault(text, cell)
        if before != cell:
            mine, others = (spec.settings_of(c)[len(spec.settings) :] for c in (cell, before))
            raise UsageError(
                f"two cells are the same scenario: {', '.join(others)} and {', '.join(mine)}", where="--grid"
            )


def _nth(cell: int, axes: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return next(itertools.islice(itertools.product(*axes), cell - 1, None))
