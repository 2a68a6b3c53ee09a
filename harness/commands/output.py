"""Standard output of a command whose reader may leave (`| head`), and the file that --json names.

A reader that leaves ends the output, not the command: what it does next, and its exit code, stay as they were.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import SaveError, UsageError
from harness.text import printable

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str, *, end: str = "\n") -> None:
    """Print to standard output. What would control a terminal is escaped; JSON stays JSON."""
    try:
        click.echo(printable(text) + end, nl=False)
    except BrokenPipeError:
        discard_stdout()


def tell(text: str) -> None:
    """Print to standard error, escaped likewise."""
    click.echo(printable(text), err=True)


def screen() -> Console:
    """A console on standard output."""
    from harness.report.console import Screen

    class Output(Screen):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            discard_stdout()

    return Output()


def discard_stdout() -> None:
    """Standard output goes nowhere from now on, also what is still to be flushed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def check_json(path: str | None) -> None:
    """Refuse, before any work, a --json that names no place for a file. Raises UsageError."""
    if path is None or path == "-":
        return
    if Path(path).is_dir():
        raise UsageError("a folder, where a file is to be written", where=f"--json {path}")
    if not Path(path).parent.is_dir():
        raise UsageError(f"there is no folder {Path(path).parent}", where=f"--json {path}", hint="Make it first.")


def write_json(path: str, text: str, what: str) -> SaveError | None:
    """Write a file; an error is returned, so that the screen can come before it."""
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        return SaveError(f"cannot write the {what}: {error.strerror}", where=path)
    return None
