"""Libraries that not everyone needs."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from harness.errors import ScenarioError
from harness.stages.inference.base import first_line


def need(module: str, extra: str) -> ModuleType:
    """Import a library of one of the package's extras. Raises ScenarioError with what to install."""
    hint = f"pip install 'tail-latency-harness[{extra}]'"
    if find_spec(module) is None:
        raise ScenarioError(f"{module} is not installed", where="stages.inference", hint=hint)
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken installation may raise anything
        raise ScenarioError(
            f"{module} cannot be imported: {first_line(error)}", where="stages.inference", hint=hint
        ) from None
