"""The file that a person means by a name or a path, planned, with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ScenarioError
from harness.pinning import check_usable
from harness.plan import Plan, resolve
from harness.scenario import find, load, located, read


def plan_of(reference: str | Path, overrides: Sequence[str] = ()) -> tuple[Path, Plan]:
    """The file that `reference` means, and its Plan under the overrides ("key.path=value"). Raises UsageError."""
    path = find(reference)
    scenario = load(path, overrides)
    try:
        return path, resolve(scenario)
    except ScenarioError as error:
        raise with_line(error, path, overrides) from None


def check_here(path: Path, plan: Plan, overrides: Sequence[str] = ()) -> None:
    """Raise ScenarioError where the file's pipeline is pinned to CPUs that cannot be used on this machine."""
    try:
        check_usable(plan)
    except ScenarioError as error:
        raise with_line(error, path, overrides) from None


def with_line(error: ScenarioError, path: Path, overrides: Sequence[str] = ()) -> ScenarioError:
    """An error that names a key path, with the line of the file, or the override, that the key stands in."""
    return located(error, read(path), overrides)
