"""Where the records of a long run are while it lasts: in a folder beside the one that the run will have, unfinished."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from harness.executors.recorder import Destination, free_in
from harness.files import UNFINISHED
from harness.records.growing import GrowingFile
from harness.store import RECORDS


class UnfinishedRecords:
    """Made when there is something to write. What a kill leaves there is no run, and `harness runs` says so."""

    def __init__(self, home: Path) -> None:
        """home: the folder of the scenario's runs."""
        self._home = home
        self._folder: Path | None = None
        self._file: GrowingFile | None = None

    @property
    def destination(self) -> Destination:
        """For an executor."""
        return Destination(self._open, lambda: free_in(self._home))

    @property
    def path(self) -> Path | None:
        """The file, once it is written; None where there is none, or where it lies elsewhere because of a full disk."""
        return self._file.path if self._file is not None else None

    def _open(self) -> GrowingFile:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._home))
            self._file = GrowingFile(self._folder / RECORDS)
        except OSError:  # saving will say so, and save elsewhere
            self._file = GrowingFile(None)
        return self._file

    def close(self) -> None:
        """Leave nothing: the file is part of a run by now, or of none."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
