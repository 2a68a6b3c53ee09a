"""Options that several verbs share."""

from __future__ import annotations

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
