"""A wheel and a source distribution hold all that a user needs, built with a compiler and without one.

What is installed runs outside of the checkout, with scenarios found by name. Each build takes some seconds:

    pytest -m study tests/system/test_wheel.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*command, code: int = 0, **keys) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=280, check=False, **keys)
    assert done.returncode == code, done.stdout + done.stderr
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


def built(source: Path, out: Path, **environment: str) -> Path:
    """A wheel of a folder or a source distribution, built without the network."""
    command = (sys.executable, "-m", "pip", "wheel", source, "--no-build-isolation", "--no-deps", "-w", out)
    call(*command, env={**os.environ, **environment})
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(tracked, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    make = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
    call(sys.executable, "-c", make, out, cwd=tracked)
    (found,) = out.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory) -> Path:
    return built(tracked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def pure(sdist, tmp_path_factory) -> Path:
    """From the source distribution, on a machine without a compiler."""
    return built(sdist, tmp_path_factory.mktemp("pure"), CC="/bin/false", LDSHARED="/bin/false")


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    """Installs a wheel into a virtual environment of its own, and returns how to run Python there, in an empty folder.

    The libraries are those of this environment: a folder that a .pth file names is searched, but its own .pth files,
    which lead to the checkout, are not followed.
    """

    def installed(wheel: Path):
        home, elsewhere = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere")
        call(sys.executable, "-m", "venv", "--without-pip", home)
        (site,) = home.glob("lib/python*/site-packages")
        (site / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
        call(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)

        def python(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
            return call(home / "bin" / "python", *arguments, code=code, cwd=elsewhere)

        shown = python("-c", "import harness, harness.kernels; print(harness.__file__, harness.kernels.__file__)")
        assert all(file.startswith(str(site)) for file in shown.stdout.split())
        return python

    return installed


@pytest.fixture(scope="module")
def installed(wheel, install):
    python = install(wheel)
    return lambda *arguments: python("-m", "harness", *arguments)


@pytest.mark.study
def test_it_holds_every_file_of_the_packages(tracked, wheel):
    there = set(zipfile.ZipFile(wheel).namelist())
    expected = {path.relative_to(tracked).as_posix() for path in (tracked / "harness").rglob("*") if path.is_file()}
    for folder, suffixes in (("kernels", {".py", ".typed"}), ("scenarios", {".yaml", ".json"})):
        files = [path for path in (tracked / folder).rglob("*") if path.suffix in suffixes]
        there_as = {"kernels": "harness/kernels", "scenarios": "harness/shipped"}[folder]
        expected |= {f"{there_as}/{path.relative_to(tracked / folder).as_posix()}" for path in files}
    assert expected - there == set()
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in there)


@pytest.mark.study
def test_scenarios_are_found_by_name(installed):
    assert "ok: raw images -> preprocess" in installed("validate", "resnet18_cpu").stdout
    assert "completed" in installed("run", "null", "--requests", "200").stdout


@pytest.mark.study
def test_a_model_runs(installed):
    assert "200 completed of 200" in installed("run", "smoke", "--requests", "200").stdout


@pytest.mark.study
def test_the_source_distribution_has_the_kernels_in_c_and_no_tests(tracked, sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for path in (tracked / "kernels" / "native").iterdir():
        assert path.relative_to(tracked).as_posix() in names
    assert "constraints.txt" in names
    assert not any(name.startswith("tests/") for name in names)


@pytest.mark.study
def test_a_wheel_made_with_a_compiler_has_the_native_backend(wheel, pure):
    native = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("harness/kernels/_native")]
    assert len(native) == 1
    assert not [name for name in zipfile.ZipFile(pure).namelist() if name.startswith("harness/kernels/_native")]


@pytest.mark.study
def test_without_a_compiler_the_other_backends_work_and_native_says_what_it_lacks(pure, install):
    python = install(pure)
    for backend in ("numba", "torchvision"):
        done = python(
            "-m", "harness", "run", "smoke", "--requests", "20", "--set", f"stages.preprocess.backend={backend}"
        )
        assert "20 completed of 20" in done.stdout
    refused = python("-m", "harness", "run", "smoke", "--set", "stages.preprocess.backend=native", code=2)
    assert "compiler" in refused.stderr
    assert "Traceback" not in refused.stderr
