"""Bounds on time that hold on a machine with something else to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def in_one_of(attempts: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a test again when it fails, so many times in all.

    For tests that bound what a machine adds to a latency: another process can take a core for long enough to break any
    such bound once, and a defect breaks it every time. Not for anything that time does not decide.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def again(*arguments: Any, **keys: Any) -> None:
            for _ in range(attempts - 1):
                try:
                    return test(*arguments, **keys)
                except AssertionError as error:
                    print(f"once more: {error}")
            return test(*arguments, **keys)

        return again

    return decorate
