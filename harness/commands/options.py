"""Options that several verbs share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
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


def vary(text: str, former: Sequence[str] = ()) -> Callable[[Command], Command]:
    """--vary, as `vary`: what `harness.scenario.parse_axes` takes. text: its help. former: its names before 0.2."""
    return click.option(
        "--vary", "vary", cls=Renamed, former=former, multiple=True, metavar="KEY=A,B,...",
        help=f"{text} Repeatable: every combination. Ranges: KEY=1..8/1.",
    )  # fmt: skip


class Renamed(click.Option):
    """An option whose former names go on working until 1.0, and are in no help."""

    def __init__(self, names: Sequence[str], former: Sequence[str] = (), **settings: Any) -> None:
        super().__init__([*names, *former], **settings)
        self._former = frozenset(former)

    def _as_shown(self) -> Renamed:
        shown = copy.copy(self)
        shown.opts = [name for name in self.opts if name not in self._former]
        return shown

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line in the help."""
        return click.Option.get_help_record(self._as_shown(), ctx)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The name in errors."""
        return click.Option.get_error_hint(self._as_shown(), ctx)


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
