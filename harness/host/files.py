"""Small readers of the kernel's text files: what cannot be read is None, never an error.

Every function takes the root directory that stands for `/`, so that tests can read captured files.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/")
READ_BYTES = 1 << 16


def text(root: Path, path: str) -> str | None:
    """The stripped contents of the file at path below root, or None where it cannot be read."""
    # Half the time of Path.read_text, which matters for what is read many times a second during a measurement.
    try:
        descriptor = os.open(root / path, os.O_RDONLY)
    except OSError:
        return None
    parts = []
    try:
        while part := os.read(descriptor, READ_BYTES):
            parts.append(part)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return b"".join(parts).decode(errors="replace").strip()


def integer(root: Path, path: str) -> int | None:
    """The first word of the file as an integer, or None where there is none."""
    words = (text(root, path) or "").split(maxsplit=1)
    try:
        return int(words[0])
    except (IndexError, ValueError):
        return None


def number(root: Path, path: str, *, scale: float = 1.0) -> float | None:
    """The first word of the file as a number times scale, or None where there is none."""
    value = integer(root, path)
    return None if value is None else value * scale


def count(lines: str, key: str) -> int | None:
    """The integer that follows key and a space at the start of a line, None where no line starts so."""
    words = f"\n{lines}".partition(f"\n{key} ")[2].split(maxsplit=1)
    return int(words[0]) if words else None


def keyed(lines: str) -> dict[str, str]:
    """Lines of the form `key: value` as a dictionary; of equal keys the first one holds."""
    found: dict[str, str] = {}
    for line in lines.splitlines():
        key, mark, value = line.partition(":")
        if mark:
            found.setdefault(key.strip(), value.strip())
    return found


def folders(root: Path, pattern: str) -> list[Path]:
    """The paths below root that match a glob pattern, sorted; none where the folder cannot be read."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []
