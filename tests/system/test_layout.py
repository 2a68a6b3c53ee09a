"""A test is found where its subject is: tests/a/test_b.py is about harness/a/b.py, or the package harness/a/b."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
MIRRORED = {"kernels": ROOT / "kernels", "benchmarks": ROOT / "benchmarks"}
"""Folders of tests/ that stand for a folder beside harness/; every other one but system/ stands for one in it."""
MOST_LINES = 350
LONGER = {"harness/twin/events.py"}
"""In one file, since numba's cache notices a change in the file of the function that is called, and in no other."""


def modules() -> Iterator[Path]:
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.relative_to(TESTS).parts[0] != "system":
            yield path


def subject(test: Path) -> Path:
    """What a test module is about, without its suffix."""
    inside = test.relative_to(TESTS).with_name(test.stem.removeprefix("test_"))
    top = inside.parts[0]
    return MIRRORED[top].joinpath(*inside.parts[1:]) if top in MIRRORED else ROOT / "harness" / inside


@pytest.mark.parametrize("test", [*modules()], ids=lambda test: test.relative_to(TESTS).as_posix())
def test_a_test_stands_where_its_subject_stands(test: Path) -> None:
    module = subject(test)
    assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file(), (
        f"{test.relative_to(ROOT)} is about nothing: there is no {module.relative_to(ROOT)}.py and no such package;"
        " tests of the whole tool stand in tests/system"
    )


@pytest.mark.parametrize("folder", ["harness", "kernels", "benchmarks", "examples", "tests"])
def test_a_module_is_read_in_a_few_minutes(folder: str) -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in (ROOT / folder).rglob("*.py")}
    assert {path.relative_to(ROOT).as_posix(): n for path, n in lines.items() if n > MOST_LINES}.keys() <= LONGER
