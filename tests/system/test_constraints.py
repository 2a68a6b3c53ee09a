"""constraints.txt pins everything that an installation brings, so that the README's commands install a known set."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
PROJECT = "tail-latency-harness"


def brought(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """The names of all that a package with these extras requires here, and of what that requires."""
    if (name, extras) in seen:
        return set()
    seen.add((name, extras))
    try:
        texts = requires(name) or []
    except PackageNotFoundError:
        return set()  # of another platform or extra
    found = {name}
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            found |= brought(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)
    return found


def test_everything_that_is_installed_with_the_project_is_pinned():
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines}
    needed = brought(PROJECT, frozenset({"dev"}), set()) - {PROJECT}
    assert len(needed) > 60
    assert needed - pinned == set()
