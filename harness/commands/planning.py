"""What the verbs that take a SCENARIO share: finding it, planning it, and errors that name its file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ScenarioError

if TYPE_CHECKING:
    from harness.plan import Plan


def plan_of(reference: Path, overrides: Sequence[str]) -> tuple[Path, Plan]:
    """The file that `reference` means, and its Plan with the overrides applied. Raises UsageError."""
    from harness.plan import resolve
    from harness.scenario import find, load

    path = find(reference)
    scenario = load(path, overrides)
    try:
        return path, resolve(scenario)
    except ScenarioError as error:
        raise with_line(error, path, overrides) from None


def with_line(error: ScenarioError, path: Path, overrides: Sequence[str]) -> ScenarioError:
    """An error that names a key path, with the line of the file, or the override, that the key stands in."""
    from harness.scenario import located, read

    return located(error, read(path), overrides)
