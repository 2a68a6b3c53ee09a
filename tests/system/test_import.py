"""`import harness` is cheap, and every public name is there when it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness

HEAVY = (
    "click", "IPython", "jinja2", "matplotlib", "numba", "numpy", "pandas", "PIL", "psutil", "pyarrow", "pydantic",
    "rich", "scipy", "simpy", "torch", "yaml",
)  # fmt: skip
SOURCE = Path(harness.__file__)


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_heavy_library_comes_with_it() -> None:
    found = fresh(f"import harness, sys; print([name for name in {HEAVY} if name in sys.modules])")
    assert found == "[]"


def test_it_brings_nothing_but_a_few_modules_of_the_standard_library() -> None:
    bare = int(fresh("import sys; print(len(sys.modules))"))
    assert int(fresh("import harness, sys; print(len(sys.modules))")) - bare < 40


def test_an_error_of_the_tool_can_be_caught_without_any_of_them() -> None:
    found = fresh(f"import harness, sys; harness.HarnessError; print([n for n in {HEAVY} if n in sys.modules])")
    assert found == "[]"


@pytest.mark.parametrize("name", harness.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(harness, name).__doc__.strip()
    assert name in dir(harness)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        harness.nothing_of_this_name  # noqa: B018
    assert harness.__version__


def test_what_type_checkers_see_is_what_is_there() -> None:
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    there = {name: module for module, names in harness._HOMES.items() for name in names}
    assert seen == {**there, "twin": "harness"}
    assert sorted(seen) == sorted(harness.__all__)
    assert (SOURCE.parent / "py.typed").is_file()
