"""The page of a saved study: its screen as text, and its plots as SVG."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.report import study
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
    saved = study.read(path)
    if saved is None:
        return None
    plots = {name: _svg(figure.savefig) for name, figure in saved.draw().items()}
    return Study(path, saved.kind, saved.name, _screen(saved.show), plots)


def _screen(show: Callable[[Console], None]) -> str:
    text = io.StringIO()
    show(Screen(file=text, width=WIDEST, no_color=True))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _svg(save: Callable[..., Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plot.svg")
        save(file, bbox_inches="tight")
        return file.read_text(encoding="utf-8")
