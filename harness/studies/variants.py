"""Variants: one scenario file with different overrides, each validated and planned before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    path: Path
    common: tuple[str, ...]
    own: tuple[str, ...]
    label: str
    plan: Plan

    @property
    def overrides(self) -> tuple[str, ...]:
        """All that is set over the file, in order."""
        return (*self.common, *self.own)

    @property
    def given(self) -> str:
        """The scenario as the user gave it: the overrides as comments, then the file's text."""
        return "".join(f"# --set {text}\n" for text in self.overrides) + self.path.read_text(encoding="utf-8")


def plan_variant(
    path: Path, common: Sequence[str] = (), own: Sequence[str] = (), label: str = "", option: str = OPTION
) -> Variant:
    """Load, validate and plan the file with all overrides.

    option: with which the user gave `own`. Raises UsageError; a ScenarioError names the file and the line, or the
    override, and the variant where neither is one of `own`.
    """
    overrides = (*common, *own)
    try:
        scenario = load(path, overrides)
        try:
            plan = resolve(scenario)
        except ScenarioError as error:
            raise located(error, read(path), overrides) from None
    except ScenarioError as error:
        raise _as_typed(error, own, option) from None
    return Variant(path, tuple(common), tuple(own), label or label_of(own), plan)


def label_of(own: Sequence[str]) -> str:
    """The overrides for people, without the `stages.` that most of them begin with."""
    return ", ".join(text.strip().removeprefix("stages.") for text in own) or AS_GIVEN


def values_of(own: Sequence[str]) -> str:
    """The values of the overrides alone, for where the keys stand elsewhere."""
    return ", ".join(text.partition("=")[2].strip() for text in own) or AS_GIVEN


def _as_typed(error: ScenarioError, own: Sequence[str], option: str) -> ScenarioError:
    what, where = error.what, error.where
    for text in own:
        what, where = (part.replace(f"--set {text}", f"{option} {text}") for part in (what, where))
    if own and f"{option} " not in what + where:
        what += f" (with {option} {f' {option} '.join(own)})"
    return ScenarioError(what, where=where, hint=error.hint)
