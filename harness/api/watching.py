"""Progress of a call: in a notebook one line with a bar, on a terminal the live view of the commands, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.executors.progress import Observer
from harness.plan import Plan
from harness.studies.variants import Variant

if TYPE_CHECKING:
    from harness.report.live.compare import View


def watch_run(plan: Plan, progress: bool | None) -> AbstractContextManager[Observer]:
    """An observer for one run. progress: None shows it where a person watches; True everywhere; False nowhere."""
    if progress is not False and in_notebook():
        from harness.report.live import notebook

        return notebook.view()
    from harness.report.live import run as terminal

    return terminal.view(plan, quiet=not watches(progress))


def watch_comparison(sides: Sequence[Variant], progress: bool | None) -> AbstractContextManager[View]:
    """The view of a comparison; progress as in `watch_run`."""
    from harness.report.live import compare

    return compare.view(sides, quiet=not watches(progress))


def watches(progress: bool | None) -> bool:
    """Whether progress is shown: by default where a person watches."""
    return (in_notebook() or sys.stderr.isatty()) if progress is None else progress


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows HTML and changes it later."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
