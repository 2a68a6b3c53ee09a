"""The live view of a run in a notebook: one line of HTML below the cell that changes while the run lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from html import escape
from importlib import import_module

from harness.executors.progress import Observer, Progress
from harness.report.live.run import sentence
from harness.text import printable


@contextlib.contextmanager
def view() -> Iterator[Observer]:
    """An observer for a session, inside the kernel of a notebook. What it has shown is taken away at the end."""
    display = import_module("IPython.display")
    handle = display.DisplayHandle()
    shown = False

    def observe(progress: Progress) -> None:
        nonlocal shown
        line = display.HTML(_line(progress))
        handle.update(line) if shown else handle.display(line)
        shown = True

    try:
        yield observe
    finally:
        if shown:
            handle.update(display.HTML(""))


def _line(progress: Progress) -> str:
    done = f' value="{progress.ended}" max="{progress.total}"' if progress.total else ""
    name = escape(printable(progress.plan.scenario.name))
    return f"<progress{done}></progress> <b>{name}</b> {escape(printable(sentence(progress)))}"
