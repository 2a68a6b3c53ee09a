"""Progress of a call: in a notebook one line with a bar, on a terminal the live view of the commands, else nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from harness.executors.progress import Observer
from harness.plan import Plan


def watch_run(plan: Plan, progress: bool | None) -> AbstractContextManager[Observer]:
    """An observer for one run. progress: None shows it where a person watches; True everywhere; False nowhere."""
    if progress is not False and in_notebook():
        from harness.report.live import notebook

        return notebook.view()
    from harness.report.live import run as terminal

    return terminal.view(plan, quiet=not (sys.stderr.isatty() if progress is None else progress))


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows HTML and changes it later."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
