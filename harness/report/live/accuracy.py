"""The live view of an evaluation, on standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness.report.console import Screen


@contextlib.contextmanager
def view(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """An observer of (label, images done, images in all). On a terminal it draws a bar for each variant."""
    console = Screen(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda name, done, of: None
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {}

        def observe(label: str, done: int, of: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=of)
            bars.update(tasks[label], completed=done)

        yield observe
