"""The software that a measurement depends on: Python, library versions, the project's commit, the environment."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import registry

# Distributions whose version can change a result; the last seven are for those who have them installed.
LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "scikit-image",
    "pillow",
    "simplejpeg",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "psutil",
    "simpy",
    "click",
    "rich",
    "onnxruntime",
    "openvino",
    "nncf",
    "onnx",
    "onnxscript",
    "opencv-python-headless",
    "opencv-python",
)

VARIABLES = {
    "ATEN_CPU_CAPABILITY",
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "PYTHONTRACEMALLOC",
    "PYTHON_GIL",
    "PYTHON_JIT",
}
VARIABLE_PREFIXES = ("GOMP_", "KMP_", "MALLOC_", "MKL_", "NUMBA_", "OMP_", "ONEDNN_", "OPENBLAS_")
GIT_TIMEOUT_S = 2.0


def python() -> dict[str, Any]:
    """The interpreter, and what would slow it down: a debug build, developer mode, tracing, a debugging allocator."""
    gil = getattr(sys, "_is_gil_enabled", None)  # Python 3.13 and later
    tracemalloc = sys.modules.get("tracemalloc")
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "compiler": platform.python_compiler(),
        "debug_build": hasattr(sys, "gettotalrefcount"),
        "developer_mode": sys.flags.dev_mode,
        "traced": sys.gettrace() is not None or sys.getprofile() is not None,
        "tracemalloc": tracemalloc is not None and tracemalloc.is_tracing(),
        "gil": True if gil is None else gil(),
        "hash_seed_fixed": not sys.flags.hash_randomization,
    }


def libraries() -> dict[str, str | None]:
    """The installed version of each of LIBRARIES, None where it is not installed, and of packages that bring plug-ins.

    Nothing is imported.
    """
    return {name: _version(name) for name in LIBRARIES} | registry.plugins()


def environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    """The environment variables that change speed or threads, of this process or of those given."""
    found = dict(os.environ) if variables is None else variables
    return {
        name: value for name, value in sorted(found.items()) if name in VARIABLES or name.startswith(VARIABLE_PREFIXES)
    }


def commit(checkout: Path | None = None) -> dict[str, Any] | None:
    """The commit of the project's checkout and whether tracked files differ from it; None outside a checkout.

    checkout: the top folder of the repository, default the one that this package lies in. A folder further down in
    some other repository, such as a virtual environment in it, does not count.
    """
    top = Path(__file__).resolve().parents[2] if checkout is None else checkout.resolve()
    if not (top / ".git").exists():
        return None
    head = _git(top, "rev-parse", "HEAD")
    changes = _git(top, "status", "--porcelain", "--untracked-files=no")
    return None if head is None else {"commit": head, "dirty": None if changes is None else bool(changes)}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(top: Path, *arguments: str) -> str | None:
    """The output of a git command at top, or None where it fails, hangs or is not installed."""
    # A git hook that started us would otherwise point git at its own repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(top), *arguments]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
