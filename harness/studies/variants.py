"""Variants: one scenario file with different overrides, each validated and planned before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ScenarioError
from harness.plan import Plan, resolve
from harness.scenario import load, located, read
from harness.scenario.varying import OPTION

AS_GIVEN = "as given"
"""The label of a variant without overrides of its own."""


@dataclass(frozen=True)
class Variant:
    """A scenario file with some overrides, and its Plan.

    common: overrides that all variants share. own: those that make this one differ. label: tells it from the others.
    name: a short one, such as `b`, where a study gives one.
    """

    path: Path
    common: tuple[str, ...]
    own: tuple[str, ...]
    label: str
    plan: Plan
    name: str = ""

    @property
    def overrides(self) -> tuple[str, ...]:
        """All that is set over the file, in order."""
        return (*self.common, *self.own)

    @property
    def given(self) -> str:
        """The scenario as the user gave it: the overrides as comments, then the file's text."""
        return "".join(f"# --set {text}\n" for text in self.overrides) + self.path.read_text(encoding="utf-8")


def plan_variants(
    path: Path, common: Sequence[str], combinations: Sequence[tuple[str, ...]], label: Callable[[Sequence[str]], str]
) -> list[Variant]:
    """A variant for each combination of overrides, such as `harness.scenario.combinations` gives.

    Raises UsageError; a ScenarioError names the combination, where it does not name one of its overrides.
    """
    variants = []
    for own in combinations:
        try:
            variants.append(plan_variant(path, common, own, label(own)))
        except ScenarioError as error:
            if own and OPTION not in error.where + error.what:
                error = ScenarioError(f"{error.what} (with {', '.join(own)})", where=error.where, hint=error.hint)
            raise error from None
    return variants


def plan_variant(
    path: Path, common: Sequence[str] = (), own: Sequence[str] = (), label: str = "", option: str = OPTION
) -> Variant:
    """Load, validate and plan the file with all overrides.

    option: with which the user gave `own`. Raises UsageError; a ScenarioError names the file and the line, or the
    override.
    """
    overrides = (*common, *own)
    try:
        scenario = load(path, overrides)
        try:
            plan = resolve(scenario)
        except ScenarioError as error:
            raise located(error, read(path), overrides) from None
    except ScenarioError as error:
        raise as_typed(error, own, option) from None
    return Variant(path, tuple(common), tuple(own), label or label_of(own), plan)


def label_of(own: Sequence[str]) -> str:
    """The overrides for people, without the `stages.` that most of them begin with."""
    return ", ".join(text.strip().removeprefix("stages.") for text in own) or AS_GIVEN


def values_of(own: Sequence[str]) -> str:
    """The values of the overrides alone, for where the keys stand elsewhere."""
    return ", ".join(text.partition("=")[2].strip() for text in own) or AS_GIVEN


def as_typed(error: ScenarioError, own: Sequence[str], option: str = OPTION) -> ScenarioError:
    """An error that names one of the overrides as given with `--set`, with the option that the user gave it with."""
    what, where = error.what, error.where
    for text in own:
        what, where = (part.replace(f"--set {text}", f"{option} {text}") for part in (what, where))
    return ScenarioError(what, where=where, hint=error.hint)
