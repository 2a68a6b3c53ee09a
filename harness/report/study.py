"""Saved studies (sweeps, comparisons, searches for the capacity): their screens and figures, for any medium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from harness.documents import Document

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SavedStudy:
    """A study's folder. kind: in a word. name: of its scenario. show: prints its screen. draw: its figures by name."""

    path: Path
    kind: str
    name: str
    document: Document
    show: Callable[[Console], None]
    draw: Callable[[], dict[str, Figure]]


def read(path: Path) -> SavedStudy | None:
    """The study that a folder holds; None where it holds none. Raises UsageError."""
    for file, kind in (("sweep.json", _sweep), ("comparison.json", _comparison), ("capacity.json", _capacity)):
        if (path / file).is_file():
            return kind(path)
    return None


def _sweep(path: Path) -> SavedStudy:
    from harness.report.plots import sweep as plots
    from harness.report.screens import sweep as screen
    from harness.studies.sweep.folder import SweepFolder
    from harness.studies.sweep.result import result

    found = result(SweepFolder(path))
    return SavedStudy(
        path, "sweep", found.scenario, found, lambda console: screen.show(console, found), lambda: plots.draw(found)
    )


def _comparison(path: Path) -> SavedStudy:
    from harness.report.plots import compare as plots
    from harness.report.screens import compare as screen
    from harness.studies.compare import folder

    found = folder.load(path)
    return SavedStudy(
        path, "comparison", found.name, found, lambda console: screen.show(console, found), lambda: plots.draw(found)
    )


def _capacity(path: Path) -> SavedStudy:
    from harness.report.plots import capacity as plots
    from harness.report.screens import capacity as screen
    from harness.studies import capacity

    found = capacity.load(path)

    def draw() -> dict[str, Figure]:
        figure = plots.draw(found) if found.highest else None
        return {} if figure is None else {"capacity": figure}

    return SavedStudy(path, "capacity", found.scenario, found, lambda console: screen.show(console, found), draw)
