"""How the compiled model is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

# Without numba's runtime, which counts references to every array at every call of one compiled function by another:
# nothing is allocated here, and the counting takes longer than the work.
jit: Callable[[Function], Function] = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
