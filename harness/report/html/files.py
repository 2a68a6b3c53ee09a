"""Reports as files: read, rendered and written, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import files
from harness.errors import SaveError
from harness.report.html.page import render, render_study
from harness.report.html.run import Run, read
from harness.report.html.study import Study
from harness.stats.series import SPANS
from harness.store import SavedRun

FILE = "report.html"


def write_report(saved: Sequence[SavedRun], target: Path | None = None) -> Path:
    """Write the report of saved runs, by default as report.html in the run's folder, or here for several runs.

    Returns its path. Raises UsageError, SaveError.
    """
    return _save(render(read_all(saved)), target or (saved[0].path / FILE if len(saved) == 1 else Path(FILE)))


def write_study(study: Study, target: Path | None = None) -> Path:
    """Write the report of a study, by default as report.html in its folder. Returns its path. Raises SaveError."""
    return _save(render_study(study), target or study.path / FILE)


def read_all(saved: Sequence[SavedRun]) -> list[Run]:
    """Several runs to be shown side by side, as A, B, ...; one alone has no label. Raises UsageError."""
    labels = "ABCDEFGH"[: len(saved)] if len(saved) > 1 else [""]
    return [read(one, label, SPANS // len(saved)) for one, label in zip(saved, labels, strict=True)]


def _save(page: str, path: Path) -> Path:
    try:
        files.replace(path, page)
    except OSError as error:
        raise SaveError(f"cannot write the report: {error.strerror}", where=str(path)) from None
    return path
