"""Notebooks executed by a real kernel; a cell with the tag `interrupt` is interrupted while its run goes on.

    python -m tests.notebooks docs/notebook.ipynb

executes one and writes its outputs into it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.util import ensure_async

INTERRUPT = "interrupt"
LIMIT_S = 120


class _Client(NotebookClient):
    """Interrupts the kernel, as the stop button does, once a cell with that tag shows that requests are under way."""

    interrupting: asyncio.Future[Any] | None = None

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        shown = msg["content"].get("data", {}).get("text/html", "")
        if INTERRUPT in cell.metadata.get("tags", ()) and "running: " in shown and self.interrupting is None:
            self.interrupting = asyncio.ensure_future(ensure_async(self.km.interrupt_kernel()))
        return super().process_message(msg, cell, cell_index)


def execute(notebook: Any, folder: Path) -> Any:
    """Execute every cell with `folder` as the working directory. An error that no tag allows is raised."""
    _Client(notebook, timeout=LIMIT_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def cell(source: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def output(of: Any, kind: str = "text/plain") -> str:
    """What a cell has shown: the streams and the data of this kind."""
    parts = [o.get("text") or o.get("data", {}).get(kind, "") or o.get("ename", "") for o in of.outputs]
    return "\n".join(parts)


def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(read(path), Path(folder))
    for one in notebook.cells:
        one.metadata.pop("execution", None)  # when it ran
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
