"""The wheel holds all that a user needs: it runs outside of the checkout, with scenarios found by name.

Building it takes a compiler and some seconds: pytest -m study tests/system/test_wheel.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*command, **keys) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=280, check=False, **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """A copy of the files that git knows, so that nothing else can get into the wheel, or be missed in it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in call("git", "ls-files", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory) -> Path:
    """Built without the network."""
    out = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "pip", "wheel", ".", "--no-build-isolation", "--no-deps", "-w", out, cwd=tracked)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs `harness` from the wheel, in an empty folder, with nothing of the checkout in sight."""
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    call(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
        return call(sys.executable, "-m", "harness", *arguments, cwd=elsewhere, env=environment)

    where = call(sys.executable, "-c", "import harness; print(harness.__file__)", cwd=elsewhere, env=environment)
    assert where.stdout.startswith(str(site))
    return harness


@pytest.mark.study
def test_it_holds_every_file_of_the_packages(tracked, wheel):
    there = set(zipfile.ZipFile(wheel).namelist())
    expected = {path.relative_to(tracked).as_posix() for path in (tracked / "harness").rglob("*") if path.is_file()}
    for folder, suffixes in (("kernels", {".py"}), ("scenarios", {".yaml", ".json"})):
        files = [path for path in (tracked / folder).rglob("*") if path.suffix in suffixes]
        expected |= {f"harness/{path.relative_to(tracked).as_posix()}" for path in files}
    assert expected - there == set()
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in there)


@pytest.mark.study
def test_scenarios_are_found_by_name(installed):
    assert "ok: raw images -> preprocess" in installed("validate", "resnet18_cpu").stdout
    assert "completed" in installed("run", "null", "--requests", "200").stdout


@pytest.mark.study
def test_a_model_runs(installed):
    assert "200 completed of 200" in installed("run", "smoke", "--requests", "200").stdout
