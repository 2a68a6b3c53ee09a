"""What is made of a model once and kept: exported files, quantised ones, compiled kernels.

It lies in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache), under a hash of all that it was made from, and may be
deleted at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError

FORMAT = 1  # raise it when what is made of the same things changes


def folder(kind: str) -> Path:
    """The folder of one kind of thing, made where it is lacking. Raises ScenarioError when it cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "tail-latency-harness" / kind
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(
            f"the cache folder {path} cannot be made: {error.strerror}",
            hint="Name one that can be written in the variable XDG_CACHE_HOME.",
        ) from None
    return path


def key_of(made_from: Mapping[str, Any]) -> str:
    """A hash of plain data."""
    text = json.dumps({"format": FORMAT, **made_from}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_of(path: Path) -> str:
    """A hash of a file's content. Raises ScenarioError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ScenarioError(f"cannot read {path}: {error.strerror}", where="stages.inference.model") from None


def kept(key: str, make: Callable[[Path], None]) -> Path:
    """The folder of an entry. Where there is none, `make` fills an empty folder that then becomes it.

    Of several workers that need the same one makes it and the others wait. An entry is there whole or not at all.
    """
    entry = folder("models") / key
    if entry.is_dir():
        return entry
    with _locked(entry.with_suffix(".lock")):
        if not entry.is_dir():
            half = entry.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)  # of a process that was killed
            half.mkdir()
            try:
                make(half)
                half.rename(entry)
            finally:
                shutil.rmtree(half, ignore_errors=True)
    return entry


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; the kernel lets go of it when this process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
