"""numba and llvmlite as the kernels use them, behind types that do not change with numba's release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding  # type: ignore[import-untyped,unused-ignore]
import llvmlite.ir  # type: ignore[import-untyped,unused-ignore]
import numba
import numba.core.cgutils
import numba.extending

Function = TypeVar("Function", bound=Callable[..., Any])

_numba: Any = numba
carray: Any = numba.carray  # type: ignore[attr-defined,unused-ignore]
cgutils: Any = numba.core.cgutils
intrinsic: Any = numba.extending.intrinsic
ir: Any = llvmlite.ir
types: Any = numba.types

# Fused multiply-add is allowed; reordering, or assuming that there are no infinities, is not.
_OPTIONS = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}

DISABLED = bool(_numba.config.DISABLE_JIT)
BOUNDS_CHECKED = bool(_numba.config.BOUNDSCHECK)


def _cache_key() -> str:
    """Of everything that goes into the compiled code and that numba's cache, which names files by function, misses."""
    key = hashlib.sha256(str(BOUNDS_CHECKED).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name == "jit.py" or source.name.startswith("numba_"):
            key.update(source.read_bytes())
    return key.hexdigest()[:16]


def compiled(function: Function) -> Function:
    """A function to call from compiled code; compiled with its caller."""
    jitted: Function = _numba.njit(**_OPTIONS)(function)
    return jitted


def compiled_for(*arguments: Any) -> Callable[[Function], Function]:
    """Compile now, for these types of arguments only, or read the cache on disk."""

    def decorate(function: Function) -> Function:
        function.__qualname__ += f"_{_cache_key()}"
        jitted: Function = _numba.njit(_numba.void(*arguments), cache=True, **_OPTIONS)(function)
        return jitted

    return decorate


def inlined(function: Function) -> Function:
    """A function whose code replaces every call of it."""
    jitted: Function = _numba.njit(inline="always")(function)
    return jitted


def cpu() -> str:
    """The CPU that LLVM compiles for."""
    return str(_numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name())


def version() -> str:
    """numba's version."""
    return str(_numba.__version__)
