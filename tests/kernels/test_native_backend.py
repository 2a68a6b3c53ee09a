"""Neither kernel reads or writes outside its buffers: C under sanitizers, numba with its bounds check."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "kernels" / "native").glob("*.c"))
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
COMPILER = shutil.which("gcc")


def run_walk(*arguments, **environment):
    command = [sys.executable, "-m", "tests.kernels.walk", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=250)


def library(name):
    path = subprocess.run(
        [COMPILER, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return path if Path(path).is_absolute() else None


def build(folder, *flags):
    built = folder / "_native.so"
    include = f"-I{sysconfig.get_paths()['include']}"
    command = [COMPILER, "-O1", "-g", "-shared", "-fPIC", include, *flags, *map(str, SOURCES), "-o", str(built), "-lm"]
    subprocess.run(command, check=True)
    return built


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """Environment and library, or skip."""
    if COMPILER is None or library("libasan.so") is None or library("libubsan.so") is None:
        pytest.skip("needs gcc with libasan and libubsan")
    environment = {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    return environment, tmp_path_factory.mktemp("sanitized")


def test_c_under_address_and_undefined_behaviour_sanitizers(sanitized):
    environment, folder = sanitized
    result = run_walk("native", build(folder, *SANITIZERS), **environment)
    assert result.returncode == 0, result.stderr[-4000:]
    assert "portable" in result.stdout


def test_the_sanitizer_would_notice_a_read_past_the_image(sanitized, tmp_path):
    environment, _ = sanitized
    spoiled = tmp_path / "native"
    shutil.copytree(ROOT / "kernels" / "native", spoiled)
    source = spoiled / "avx2_blend_rows.c"
    code = source.read_text()
    assert "bytes - 32, 1" in code
    source.write_text(code.replace("bytes - 32, 1", "bytes - 28, 1"))
    built = tmp_path / "_native.so"
    command = [COMPILER, "-O1", "-shared", "-fPIC", f"-I{sysconfig.get_paths()['include']}", *SANITIZERS]
    subprocess.run([*command, *map(str, sorted(spoiled.glob("*.c"))), "-o", str(built), "-lm"], check=True)
    result = run_walk("native", built, **environment)
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr


@pytest.mark.parametrize(
    "environment",
    [{"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_DISABLE_JIT": "1"}],
    ids=["bounds checked", "not compiled"],
)
def test_numba_in_its_debugging_modes(environment, tmp_path):
    result = run_walk("numba", NUMBA_CACHE_DIR=str(tmp_path), **environment)
    assert result.returncode == 0, result.stderr[-4000:]
