"""Files made from a model once and kept: exported models, quantised models, compiled kernels.

It lies in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache), under a hash of all that it was made from, and may
be deleted at any time.
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
    """A hash of JSON-like data."""
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
    if not entry.is_dir():
        with _half(key) as half:
            if not entry.is_dir():
                make(half)
                half.rename(entry)
    return entry


def kept_by_content(key: str, make: Callable[[Path], None], name: str) -> Path:
    """The folder of what `make` makes anew each time, known by the content of the file `name` in it."""
    with _half(key) as half:
        make(half)
        entry = folder("models") / hash_of(half / name)[:32]
        if not entry.is_dir():
            half.rename(entry)
    return entry


@contextmanager
def _half(key: str) -> Iterator[Path]:
    """An empty folder that this process alone uses, gone afterwards unless it was renamed.

    The kernel lets go of the lock when the process ends, however it ends; what it left is removed by the next one.
    """
    base = folder("models")
    half = base / f"{key}.half"
    with (base / f"{key}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        try:
            yield half
        finally:
            shutil.rmtree(half, ignore_errors=True)
