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
    handle = import_module("IPython.display").DisplayHandle()
    shown = False

    def observe(progress: Progress) -> None:
        nonlocal shown
        handle.update(_line(progress), raw=True) if shown else handle.display(_line(progress), raw=True)
        shown = True

    try:
        yield observe
    finally:
        if shown:
            handle.update({"text/html": "", "text/plain": ""}, raw=True)


def _line(progress: Progress) -> dict[str, str]:
    """HTML, and text for what shows no HTML."""
    done = f' value="{progress.ended}" max="{progress.total}"' if progress.total else ""
    name, where = printable(progress.plan.scenario.name), printable(sentence(progress))
    html = f"<progress{done}></progress> <b>{escape(name)}</b> {escape(where)}"
    return {"text/html": html, "text/plain": f"{name}: {where}"}
