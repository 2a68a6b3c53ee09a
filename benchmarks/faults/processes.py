"""Processes by a mark in their environment: orphans of orphans are found, others' processes never."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "HARNESS_FAULTS_ROUND"
OWN_MEMORY = "/memfd:harness-"


def marked(mark: str) -> list[int]:
    """Pids of the processes that were started with this mark; a zombie has no environment any more."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def command(pid: int) -> str:
    """Its command line."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def children(mark: str) -> list[int]:
    """The producer and the workers of a run, in the order in which they were started."""
    return sorted(pid for pid in marked(mark) if " harness.children harness.executors.process." in command(pid))


def shared_memory(pid: int) -> int:
    """How many of this tool's unnamed segments it maps or holds open."""
    found = 0
    with contextlib.suppress(OSError):
        found += sum(OWN_MEMORY in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found += str(link.readlink()).startswith(OWN_MEMORY)
    return found


def gone(mark: str, within_s: float) -> list[int]:
    """Wait until no process has the mark; those that still do when the time is up."""
    until = time.monotonic() + within_s
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def kill(mark: str) -> None:
    """Kill every process with the mark, and what it starts meanwhile."""
    for _ in range(50):
        left = marked(mark)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
