"""Fused image preprocessing on a CPU: resize, centre crop, normalise, in one pass and into a given buffer.

Lives here: the contract (`contract`), sizes and filter weights (`geometry`), the backends (`numba_backend`,
`native_backend`, `torchvision_backend`), encoded input (`decode`) and the benchmark. Anything may import this package;
it imports nothing else of the project, and nothing heavier than NumPy until a backend is loaded.
"""

from .contract import Backend, BackendUnavailable, KernelError, Plan, Recipe, check_resized
from .registry import backends, load

__all__ = ["Backend", "BackendUnavailable", "KernelError", "Plan", "Recipe", "backends", "check_resized", "load"]
