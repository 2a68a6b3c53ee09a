"""Messages that a process gets on standard input, which its parent keeps open for as long as it lives."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

ORPHANED = 70
"""Exit code of a process whose parent is gone."""


def pack(message: Any) -> bytes:
    """A message as it goes down a child's standard input."""
    data = pickle.dumps(message)
    return struct.pack("<q", len(data)) + data


def receive() -> Any:
    """Wait for the next message; when the parent is gone instead, this process ends at once.

    Reads the descriptor itself: a thread that waits in it holds no lock that exit needs.
    """
    return pickle.loads(_read(struct.unpack("<q", _read(8))[0]))


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            os._exit(ORPHANED)
        data += more
    return data
