"""Files and folders that are there as a whole or not at all, whenever this process or the machine stops."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

UNFINISHED = ".unfinished-"
"""How the name of a folder begins until it is complete: what a kill leaves under such a name is no result."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` once the block ends without an error; it is on disk by then.

    A reader finds the old file or the new one. Raises OSError.
    """
    partial = path.with_name(f".{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:  # a file that is open, for libraries that open no path that is not UTF-8
            yield file
            file.flush()
            _sync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    with contextlib.suppress(OSError):  # a folder that may not be read
        _sync_path(path.parent)


def replace(path: Path, data: bytes | str) -> None:
    """Put a new file in the place of `path`, as `replacing` does. Raises OSError."""
    with replacing(path) as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def new_folder(final: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder that gets its name when `fill` has written all of it and it is on disk. Raises OSError."""
    final.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=final.parent))
    try:
        fill(staging)
        staging.chmod(0o755)
        to_disk(staging)
        staging.rename(final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    for folder in (final.parent, final.parent.parent):  # the names, its own and that of its home
        with contextlib.suppress(OSError):  # one that may not be read
            _sync_path(folder)


def to_disk(folder: Path) -> None:
    """Return when all that is in a folder is on disk, so that a power cut takes none of it. Raises OSError."""
    for path in folder.rglob("*"):
        _sync_path(path)
    _sync_path(folder)


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # a file system that has no such thing
            raise
