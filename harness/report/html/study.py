"""What the report shows of a saved study, a sweep, a comparison or a search for the capacity: its screen and its plots.

A study is more than one run, and has a screen of its own; the report carries that text, and its plots as SVG.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.report.console import Screen
from harness.report.figures import WIDEST


@dataclass(frozen=True)
class Study:
    """A study's folder. kind: in a word; text: its screen; plots: name -> SVG."""

    path: Path
    kind: str
    name: str
    text: str
    plots: Mapping[str, str]


def read(path: Path) -> Study | None:
    """The study that a folder holds; None where it holds none. Raises UsageError."""
    for file, kind in (("sweep.json", _sweep), ("comparison.json", _comparison), ("capacity.json", _capacity)):
        if (path / file).is_file():
            return kind(path)
    return None


def _sweep(path: Path) -> Study:
    from harness.report.plots import sweep as plots
    from harness.report.screens import sweep as screen
    from harness.studies.sweep.folder import SweepFolder
    from harness.studies.sweep.result import result

    sweep = SweepFolder(path)
    found = result(sweep)
    drawn = {name: _svg(figure.savefig) for name, figure in plots.draw(found).items()}
    return Study(path, "sweep", found.scenario, _screen(lambda console: screen.show(console, found)), drawn)


def _comparison(path: Path) -> Study:
    from harness.report.plots import compare as compare_plot
    from harness.report.screens import compare
    from harness.studies.compare import folder

    found = folder.load(path)
    drawn = {name: _svg(figure.savefig) for name, figure in compare_plot.draw(found).items()}
    return Study(path, "comparison", found.name, _screen(lambda console: compare.show(console, found)), drawn)


def _capacity(path: Path) -> Study:
    from harness.report.plots import capacity as plots
    from harness.report.screens import capacity as screen
    from harness.studies import capacity

    found = capacity.load(path)
    figure = plots.draw(found) if found.highest else None
    drawn = {} if figure is None else {"capacity": _svg(figure.savefig)}
    return Study(path, "capacity", found.scenario, _screen(lambda console: screen.show(console, found)), drawn)


def _screen(show: Callable[[Console], None]) -> str:
    text = io.StringIO()
    show(Screen(file=text, width=WIDEST, no_color=True))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _svg(save: Callable[..., Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plot.svg")
        save(file, bbox_inches="tight")
        return file.read_text(encoding="utf-8")
