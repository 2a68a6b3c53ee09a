"""The preprocessing backends, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from .contract import Backend, BackendUnavailable, KernelError, Recipe


def _needs(*modules: str) -> Callable[[], str | None]:
    def reason() -> str | None:
        missing = [module for module in modules if find_spec(module) is None]
        return f"{' and '.join(missing)} not installed" if missing else None

    return reason


def _native_reason() -> str | None:
    from .native_backend import unavailable_reason

    return unavailable_reason()


_BACKENDS: dict[str, tuple[str, str, Callable[[], str | None]]] = {
    "numba": ("numba_backend", "NumbaBackend", _needs("numba")),
    "native": ("native_backend", "NativeBackend", _native_reason),
    "torchvision": ("torchvision_backend", "TorchvisionBackend", _needs("torch", "torchvision")),
    "torchvision-pil": ("torchvision_backend", "TorchvisionPilBackend", _needs("torch", "torchvision", "PIL")),
}


def backends() -> dict[str, str | None]:
    """Each backend's name, with None when it can be used and else the reason why not. Imports no heavy library."""
    return {name: reason() for name, (_, _, reason) in _BACKENDS.items()}


def load(name: str, recipe: Recipe) -> Backend:
    """Make the backend `name` for a recipe. Raises BackendUnavailable with the reason where it cannot be used."""
    if name not in _BACKENDS:
        raise KernelError(f"backend {name!r} is not one of {', '.join(_BACKENDS)}")
    module_name, class_name, reason = _BACKENDS[name]
    why_not = reason()
    if why_not is not None:
        raise BackendUnavailable(f"{name}: {why_not}")
    try:
        module = import_module(f".{module_name}", __package__)
    except ImportError as error:
        raise BackendUnavailable(f"{name}: {error}") from error
    backend: Backend = getattr(module, class_name)(recipe)
    return backend
