"""A file that a run writes while it runs, on a disk that may fill up meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

RESERVE_BYTES = 64 * 2**20
"""Set aside beside the file: for the rest of it, and for what else is saved, when the disk fills up."""


class GrowingFile(io.RawIOBase):
    """Open for writing. What the disk does not take goes on in the space that was set aside, then in a temporary file.

    So a disk that is full costs nothing that was recorded: `full` tells whoever records to come to an end.
    """

    def __init__(self, path: Path | None, reserve_bytes: int = RESERVE_BYTES) -> None:
        """path: None for a temporary file, which has no name. Raises OSError."""
        super().__init__()
        self.path = path
        """Where it lies; None where it has no name (any more)."""
        self.full: OSError | None = None
        """What the first write that failed said."""
        self.file: IO[bytes] = path.open("w+b", buffering=0) if path else _nameless()
        self._reserve = _set_aside(path.parent if path else None, reserve_bytes)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Of the file that is written now."""
        return self.file.fileno()

    def tell(self) -> int:
        """Bytes written so far."""
        return self.file.tell()

    def write(self, data: Any) -> int:
        """Write all of it. Raises OSError where there is no room anywhere."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            try:
                left = left[self.file.write(left) :]
            except OSError as error:
                self._make_room(error)
        return size

    def release(self) -> IO[bytes]:
        """The file, at its beginning, which is the caller's from here on. What was set aside is free."""
        self._free_reserve()
        self.file.seek(0)
        return self.file

    def discard(self) -> None:
        """Close and forget it."""
        self._free_reserve()
        self.file.close()

    def _make_room(self, error: OSError) -> None:
        self.full = self.full or error
        if self._reserve is not None:
            self._free_reserve()
            return
        if self.path is None:
            raise error
        elsewhere = _nameless()
        try:
            self.file.seek(0)
            shutil.copyfileobj(self.file, elsewhere)
        except BaseException:
            elsewhere.close()
            raise
        self.file.close()
        self.path.unlink()
        self.file, self.path = elsewhere, None

    def _free_reserve(self) -> None:
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None


def _nameless() -> IO[bytes]:
    return tempfile.TemporaryFile(buffering=0)


def _set_aside(folder: Path | None, nbytes: int) -> IO[bytes] | None:
    """A file without a name that takes so much of the disk; None where it cannot be had."""
    with contextlib.ExitStack() as undo:
        try:
            file = undo.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            os.posix_fallocate(file.fileno(), 0, nbytes)
        except OSError:
            return None
        undo.pop_all()
        return file
