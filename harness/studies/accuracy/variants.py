"""Scenarios that differ in the values of a few keys: every combination of `KEY=A,B` settings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import ScenarioError, UsageError
from harness.plan import Plan


@dataclass(frozen=True)
class Variant:
    """A Plan under its name. changes: the settings that make it differ from the scenario."""

    name: str
    plan: Plan
    changes: tuple[str, ...] = ()


def combine(
    vary: Sequence[str], plan_of: Callable[[Sequence[str]], Plan], given: str
) -> tuple[list[Variant], list[str]]:
    """A Variant for each combination, and what was left out because its values do not go together.

    vary: such as "stages.inference.runtime=torch,onnxruntime". given: the name of the scenario as it stands, which is
    the only variant when `vary` is empty. Raises ScenarioError for a value that goes with nothing, UsageError.
    """
    choices = [_settings(text) for text in vary]
    variants, left_out = [], []
    refused: dict[str, ScenarioError] = {}
    taken: set[str] = set()
    for changes in itertools.product(*choices):
        name = ", ".join(change.partition("=")[2] for change in changes) or given
        try:
            variants.append(Variant(name, plan_of(changes), changes))
            taken.update(changes)
        except ScenarioError as error:
            left_out.append(f"{name}: {error.what}")
            refused.update(dict.fromkeys(changes, error))
    alone = next((change for choice in choices for change in choice if change not in taken), None)
    if alone is not None:
        raise refused[alone]
    return variants, left_out


def _settings(text: str) -> list[str]:
    """KEY=A,B as KEY=A and KEY=B; a comma within brackets belongs to a value. Raises UsageError."""
    key, equals, values = text.partition("=")
    found, depth = [""], 0
    for character in values:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    settings = [f"{key.strip()}={value.strip()}" for value in found]
    if not equals or not key.strip() or any(not value.strip() for value in found):
        raise UsageError(
            "expected KEY=A,B", where=f"--vary {text}", hint="Such as stages.inference.runtime=torch,onnxruntime."
        )
    if len(set(settings)) < len(settings):
        raise UsageError("a value stands there twice", where=f"--vary {text}")
    return settings
