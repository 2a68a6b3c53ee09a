"""The recipe in C, when the extension module was built."""

from __future__ import annotations

from typing import Any, ClassVar

from .contract import Backend, BackendUnavailable, Plan, Recipe


def unavailable_reason() -> str | None:
    """Why the extension cannot be used, or None."""
    return "the extension module is not built"


class NativeBackend(Backend):
    """C with SIMD chosen at run time."""

    name: ClassVar[str] = "native"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        raise BackendUnavailable(f"{self.name}: {unavailable_reason()}")

    @property
    def effective(self) -> dict[str, Any]:
        """Nothing is in use."""
        return {}

    def warm_up(self) -> dict[str, float]:
        """Nothing to load."""
        return {}

    def _make_plan(self, height: int, width: int, channels: int) -> Plan:
        raise NotImplementedError
