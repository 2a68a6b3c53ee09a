"""Properties of random inputs: tried on a few in every run of the tests, on many behind the marker `slow`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def some(values: Iterable[Any], few: int) -> list[Any]:
    """The values of a parameter: the first few always, the others behind the marker `slow`."""
    return [value if index < few else pytest.param(value, marks=pytest.mark.slow) for index, value in enumerate(values)]


def holds(few: int, many: int, *drawn: Any, **named: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """hypothesis.given(*drawn, **named), as two tests: `[few]` of so many examples, and `[many]`, a slow one.

    What `many` finds is in Hypothesis's database, and `few` tries it first from then on.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        property_ = given(*drawn, **named)(check)

        def test(examples: int, **fixtures: Any) -> None:
            tried = settings(max_examples=examples, deadline=None, suppress_health_check=SLOW_TO_DRAW)
            tried(given(*drawn, **named)(check))(**fixtures)

        both = inspect.Parameter("examples", inspect.Parameter.KEYWORD_ONLY)
        others = [p.replace(kind=p.KEYWORD_ONLY) for p in inspect.signature(property_).parameters.values()]
        test.__signature__ = inspect.Signature([both, *others])  # type: ignore[attr-defined]
        test.__name__, test.__qualname__, test.__doc__ = check.__name__, check.__qualname__, check.__doc__
        test.__module__ = check.__module__
        counts = [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
        marked: Callable[..., None] = pytest.mark.parametrize("examples", counts)(test)
        return marked

    return decorate
