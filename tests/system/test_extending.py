"""docs/extending.md: its package installs and works, and each of its changes works on a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from harness import store
from harness.records import Outcome
from tests.documents import ROOT, Block, blocks, examples

PAGE = ROOT / "docs" / "extending.md"
WRITTEN = ("python", "diff", "toml", "yaml")
PIP = """#!/bin/sh
exec {python} -m pip "$@" --quiet --no-deps --no-build-isolation --no-index --target {site}
"""


def apply(block: Block, copy: Path) -> None:
    """Write a file, or replace the one place in a file that holds a change's old lines."""
    path = copy / block.info.strip()
    if block.language != "diff":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    lines = block.text.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text()
    if old not in text:  # it begins a line that goes on
        old, new = old.rstrip("\n"), new.rstrip("\n")
    assert text.count(old) == 1, f"{PAGE.name}:{block.line}: {path.name} has changed\n{old}"
    path.write_text(text.replace(old, new))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    nothing = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=nothing)
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=nothing)
    (tmp_path / "harness" / "kernels").symlink_to(tmp_path / "kernels")
    return tmp_path


def environment(*paths: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "COLUMNS": "100", "NO_COLOR": "1"}


# ------------------------------------------------------------------ the package


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's scenario, and in `site` its package, installed from a wheel."""
    folder = tmp_path_factory.mktemp("extending")
    for block in blocks(PAGE):
        if block.language in WRITTEN and (block.info.strip().startswith("example/") or block.language == "yaml"):
            apply(block, folder)
    pip, alone = [sys.executable, "-m", "pip", "-q"], ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *alone, "--wheel-dir", "wheels", "./example"], cwd=folder, check=True)
    (wheel,) = (folder / "wheels").glob("harness_example-*.whl")
    subprocess.run([*pip, "install", *alone, "--target", "site", str(wheel)], cwd=folder, check=True)
    return folder


def harness(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "harness", *arguments]
    env = environment(folder / "site", ROOT)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_package_brings_a_stage_arrivals_and_an_executor(installed: Path) -> None:
    """Seconds: a wheel is built and installed, and six commands are started."""
    schema: dict[str, Any] = json.loads(harness(installed, "schema"))
    given = yaml.safe_load((installed / "argmax.yaml").read_text())
    Draft202012Validator(schema).validate(given)
    for wrong in ({"stages": [{"argmax": {"offset": "one"}}]}, {"load": {**given["load"], "depth": 2}}):
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate({**given, **wrong})
    assert "-> argmax (int64 1)" in harness(installed, "validate", "argmax.yaml")
    given["stages"] = [{"null": {"payload": 64}}, {"argmax": {"offset": 7}}]  # no model, no libraries
    (installed / "null.yaml").write_text(yaml.safe_dump(given))
    due = {}
    for executor in ("process", "asyncio", "inline"):
        harness(installed, "run", "null.yaml", "--set", f"executor={executor}", "--out", executor, "--quiet")
        run = store.find("last", installed / executor)
        answers = run.records.column("answer")
        assert len(answers) == 35 and (run.records.outcome == Outcome.COMPLETED).all()
        assert ((answers >= 7) & (answers < 7 + 64)).all()
        due[executor] = np.diff(run.records.due)
        assert run.summary.system.libraries["harness-example"] == "1.0"
    assert all((gaps == due["inline"]).all() for gaps in due.values()), "the same seed, the same arrivals"


# ------------------------------------------------------------------ the page


def run_page(copy: Path) -> int:
    """Do all that the page shows; returns how many commands."""
    programs, site = copy / "programs", copy / "site"
    programs.mkdir()
    (programs / "pip").write_text(PIP.format(python=sys.executable, site=site))
    (programs / "pip").chmod(0o755)
    env = environment(copy, site)
    env["PATH"] = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    ran = 0
    for block in blocks(PAGE):
        if block.language in WRITTEN:
            apply(block, copy)
            continue
        for example in examples(block):
            done = subprocess.run(
                ["bash", "-c", example.command], cwd=copy, env=env, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"$ {example.command}\n{done.stderr}"
            assert example.matches(done.stdout), f"{PAGE.name}:{block.line}: prints\n{done.stdout}"
            ran += 1
    return ran


@pytest.mark.study
def test_every_example_works(copy: Path) -> None:
    """A minute: several models are loaded."""
    assert run_page(copy) >= 8


def test_what_the_page_changes_is_there(copy: Path) -> None:
    """Fast, so that a change of the project that makes the page wrong is seen at once."""
    for block in blocks(PAGE):
        if block.language in WRITTEN:
            apply(block, copy)
            name = block.info.strip()
            if name.endswith(".py"):
                compile((copy / name).read_text(), name, "exec")
