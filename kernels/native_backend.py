"""The recipe in C with SIMD, where the extension module was built and can be loaded."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from .contract import Backend, BackendUnavailable, Image, KernelError, Output, Plan, Recipe
from .native_plan import plan_arguments

_native: Any = None
_import_error = ""
try:
    _native = import_module("._native", __package__)
except ImportError as error:
    _import_error = str(error)


def unavailable_reason() -> str | None:
    """Why the extension module cannot be used, or None."""
    if _native is not None:
        return None
    return f"the C extension was not built, or cannot be loaded ({_import_error}); install again with a C compiler"


class _NativePlan(Plan):
    def __init__(self, recipe: Recipe, height: int, width: int, channels: int, simd: str) -> None:
        super().__init__(recipe, height, width, channels)
        geometry = recipe.geometry(height, width)
        self._plan = _native.plan(simd, *plan_arguments(recipe, geometry, height, width, channels))

    def _run(self, pixels: Image, out: Output) -> None:
        _native.run(self._plan, pixels, out)


class NativeBackend(Backend):
    """C, with the best instruction set of this machine, or the one that `simd` names."""

    name: ClassVar[str] = "native"

    def __init__(self, recipe: Recipe, simd: str | None = None) -> None:
        super().__init__(recipe)
        reason = unavailable_reason()
        if reason is not None:
            raise BackendUnavailable(f"{self.name}: {reason}")
        levels = _native.simd_levels()
        if simd is not None and simd not in levels:
            raise BackendUnavailable(f"{self.name}: no {simd} here, only {', '.join(levels)}")
        self._simd = simd or levels[0]

    @property
    def effective(self) -> dict[str, Any]:
        """Instruction set, and threads as `warm_up` counted them."""
        return {"simd": self._simd, "threads": self.threads}

    def warm_up(self) -> dict[str, float]:
        """Run once on a small image; there is nothing to compile."""
        began = time.perf_counter()
        image = np.zeros((8, 8, 1), dtype=np.uint8)
        self.run_counted(image, np.empty(self.recipe.output_shape_for(8, 8), dtype=np.float32))
        return {"load": time.perf_counter() - began}

    def _make_plan(self, height: int, width: int, channels: int) -> Plan:
        try:
            return _NativePlan(self.recipe, height, width, channels, self._simd)
        except ValueError as error:
            raise KernelError(f"{width}x{height}: {error}") from error
