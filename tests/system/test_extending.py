"""docs/extending.md, carried out on a copy of the project: each of its examples works as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, Block, blocks, examples

PAGE = ROOT / "docs" / "extending.md"


def apply(block: Block, copy: Path) -> None:
    """Write a file, or replace the one place in a file that holds a change's old lines."""
    name = block.info.strip()
    if block.language != "diff":
        (copy / name).write_text(block.text)
        return
    lines = block.text.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = (copy / name).read_text()
    if old not in text:  # it begins a line that goes on
        old, new = old.rstrip("\n"), new.rstrip("\n")
    assert text.count(old) == 1, f"{PAGE.name}:{block.line}: {name} has changed\n{old}"
    (copy / name).write_text(text.replace(old, new))


@pytest.fixture
def copy(tmp_path) -> Path:
    nothing = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=nothing)
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=nothing)
    (tmp_path / "harness" / "kernels").symlink_to(tmp_path / "kernels")
    return tmp_path


@pytest.mark.study
def test_every_example_works(copy):
    """A minute: several models are loaded."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    ran = 0
    for block in blocks(PAGE):
        if block.language in ("python", "diff", "yaml"):
            apply(block, copy)
            continue
        for example in examples(block):
            done = subprocess.run(
                ["bash", "-c", example.command], cwd=copy, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"$ {example.command}\n{done.stderr}"
            assert example.matches(done.stdout), f"{PAGE.name}:{block.line}: prints\n{done.stdout}"
            ran += 1
    assert ran >= 8


def test_what_the_page_changes_is_there(copy):
    """Fast, so that a change of the project that makes the page wrong is seen at once."""
    for block in blocks(PAGE):
        if block.language in ("python", "diff", "yaml"):
            apply(block, copy)
            name = block.info.strip()
            if name.endswith(".py"):
                compile((copy / name).read_text(), name, "exec")
