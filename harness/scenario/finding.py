"""Finds the scenario file for a path or a bare name: here, in ./scenarios, or among the installed scenarios."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UsageError
from harness.scenario.reading import SUFFIX

FOLDER = Path("scenarios")
INSTALLED = "harness.shipped"
MOST_NAMES = 8


def find(reference: str | Path) -> Path:
    """The scenario file for a path or a bare name. A name is looked up in the working directory, in ./scenarios, and
    among the scenarios that are installed with the package.

    Raises UsageError, which suggests names that come near.
    """
    path = Path(reference)
    named = path.with_name(path.name + SUFFIX)
    bare = path.parent == Path()
    installed = _installed()
    folders = [FOLDER, *installed] if bare else []
    for candidate in (path, named, *(folder / file for folder in folders for file in (path.name, named.name))):
        if candidate.is_file():
            return candidate
    if path.exists():
        raise UsageError("not a scenario file", where=str(path), hint="Give the YAML file itself.")
    local = [file for folder in dict.fromkeys((path.parent, FOLDER)) for file in _files(folder)]
    names = {file.stem: str(file) for file in sorted(local)}
    names |= {file.stem: file.stem for folder in installed for file in _files(folder) if file.stem not in names}
    near = difflib.get_close_matches(path.stem, list(names), n=3, cutoff=0.5)
    shown = ", ".join([names[stem] for stem in names if stem in near] or list(names.values())[:MOST_NAMES])
    hint = f"{'Did you mean' if near else 'There are'} {shown}{'?' if near else '.'}" if shown else ""
    raise UsageError("there is no such scenario file", where=str(path), hint=hint)


def _installed() -> list[Path]:
    """The folder of the scenarios that come with the package; empty in a checkout that is not installed."""
    spec = find_spec(INSTALLED)
    return [Path(spec.origin).parent] if spec and spec.origin else []


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
