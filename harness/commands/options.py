"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def out(what: str = "runs are") -> Callable[[Command], Command]:
    """--out, as `out`: the folder of all results. what: of these, for the help."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help=f"Folder under which {what} saved.",
    )


class Share(click.ParamType):  # type: ignore[type-arg]
    """A share from lowest to highest, written as 5% or 0.05; a float."""

    name = "share"

    def __init__(self, lowest: float = 0.0, highest: float = 1.0) -> None:
        self._lowest, self._highest = lowest, highest

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        """Raises BadParameter."""
        if isinstance(value, float):
            return value
        try:
            share = float(value[:-1]) / 100 if value.endswith("%") else float(value)
        except ValueError:
            share = math.nan
        if not self._lowest <= share <= self._highest:
            bounds = f"from {self._lowest:.5g} to {self._highest:.5g}"
            self.fail(f"{value!r} is not a share such as 5% or 0.05, {bounds}", param, context)
        return share
