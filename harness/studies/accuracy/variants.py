"""The variants of an evaluation: every valid combination of the varied values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ScenarioError
from harness.scenario import Axis, combinations
from harness.studies.variants import Variant, plan_variant, values_of

MOST_VARIANTS = 256


def combine(path: Path, overrides: Sequence[str], axes: Sequence[Axis]) -> tuple[list[Variant], list[str]]:
    """A variant for each valid combination, and for each other one why it is not valid.

    Without axes: the scenario as given. Raises ScenarioError for a value that is valid in no combination, UsageError.
    """
    variants: list[Variant] = []
    left_out = []
    refused: dict[str, ScenarioError] = {}
    for own in combinations(axes, MOST_VARIANTS):
        try:
            variants.append(plan_variant(path, overrides, own, values_of(own)))
        except ScenarioError as error:
            left_out.append(f"{values_of(own)}: {error.what}")
            refused.update(dict.fromkeys(own or [""], error))
    used = {override for variant in variants for override in variant.own}
    alone = next((override for override in refused if override not in used), None)
    if alone is not None:
        raise refused[alone]
    return variants, left_out
