"""A user's own code by its name, `package.module:function`."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError


def call(path: str) -> Any:
    """Call the function without arguments and return its result. The working directory is on the search path.

    Raises ScenarioError for whatever the user's code raises, with its traceback as details.
    """
    found = _function(path)
    try:
        return found()
    except Exception as error:
        raise _error(f"{path} raised {type(error).__name__}: {error}") from None


def callable_of(path: str, makes: str) -> Callable[..., Any]:
    """The callable that the function returns. makes: what it is to make, for the error. Raises ScenarioError."""
    returned = call(path)
    if not callable(returned):
        raise ScenarioError(
            f"{path} returned {type(returned).__name__}, which cannot be called",
            hint=f"It is called once a worker and must return a function that makes {makes}.",
        )
    return returned  # type: ignore[no-any-return]


def _function(path: str) -> Callable[[], Any]:
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module may raise anything while it is imported
        raise _error(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise ScenarioError(f"{module_name} has no function {name!r}", hint="Give package.module:function.")
    return found  # type: ignore[no-any-return]


def _error(what: str) -> ScenarioError:
    lines = what.splitlines() or [what]
    error = ScenarioError(lines[0])
    error.details = traceback.format_exc()
    return error
