"""Ties the processes of a run together, so that none outlives the run, however it ends.

Messages come to a child on standard input, which the supervisor keeps open for as long as it lives: when that ends, so
does the child. The kernel kills a child whose supervisor has died, too: one that hangs in native code, with the
interpreter's lock in its hands, would not see the end of its input. Each child leads a process group, and carries a
mark in its environment that what it starts inherits: so its own children are found, even in sessions of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import secrets
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ORPHANED = 70
"""Exit code of a process whose parent is gone."""
MARK = "HARNESS_RUN"
"""The variable that holds a run's mark in the environment of all its processes."""
PR_SET_PDEATHSIG = 1
PASSES, PAUSE_S = 20, 0.01  # over the list of processes, until no marked one is left

_messages_fd = _parent = 0
_clears_up = False
_ends_descendants = False

# ------------------------------------------------------------------ in the supervisor


def new_mark() -> str:
    """A mark for the processes of one run."""
    return secrets.token_hex(8)


def pack(message: Any) -> bytes:
    """A message, framed for a child's standard input."""
    data = pickle.dumps(message)
    return struct.pack("<q", len(data)) + data


def kill_marked(mark: str, group: int = 0) -> None:
    """Kill all other processes that carry the mark; with `group`, only those in the process group of this number.

    The group's leader has to be there, or not yet waited for. Without a /proc the group is all that can be found.
    """
    variable = f"\0{MARK}={mark}\0".encode()
    if sys.platform != "linux":
        if group:
            _kill(os.killpg, group)
        return
    _kill_while_there(
        lambda pid: (not group or _fields(pid)[2:3] == [str(group)]) and variable in b"\0" + _read_proc(pid, "environ")
    )


def end_descendants_at_exit() -> None:
    """Have `end_descendants` kill what this process has started: its stages are user code that may start anything."""
    global _ends_descendants
    _ends_descendants = True


def end_descendants() -> None:
    """Kill what this process has started, if it was said that this is to be done when the command ends."""
    if _ends_descendants:
        kill_descendants()


def kill_descendants() -> None:
    """Kill every process that this one started, and their descendants."""
    _kill_while_there(_descends)


def _descends(pid: int) -> bool:
    while pid > 1:
        fields = _fields(pid)
        if len(fields) < 2 or fields[0] in "ZX":  # it has ended
            return False
        pid = int(fields[1])
        if pid == os.getpid():
            return True
    return False


def _kill_while_there(wanted: Callable[[int], bool]) -> None:
    """Look again after each round: they may start others meanwhile. Those that clear up behind a pool of processes end
    by themselves, when they have."""
    for _ in range(PASSES):
        found = [pid for pid in _processes() if pid != os.getpid() and wanted(pid)]
        found = [pid for pid in found if b"resource_tracker" not in _read_proc(pid, "cmdline")]
        if not found:
            return
        for pid in found:
            _kill(os.kill, pid)
        time.sleep(PAUSE_S)


def _kill(function: Callable[[int, int], None], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        function(number, signal.SIGKILL)


def _processes() -> list[int]:
    try:
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        return []


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, process group, ...; empty when it is gone."""
    return _read_proc(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def _read_proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


# ------------------------------------------------------------------ in a child


def tie(parent: int, *, hangs: bool, clears_up: bool) -> None:
    """Tie this process to its parent; the first thing that a child does. parent: the pid that it was told.

    What it has inherited is not inherited further by the programs that it starts. hangs: it may, so that the kernel has
    to kill it with its parent. clears_up: as an orphan it kills all that carry the run's mark; one of a run's processes
    only, since two that did would kill each other before they are through.
    """
    global _messages_fd, _parent, _clears_up
    _parent, _clears_up = parent, clears_up
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and hangs:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    end_if_orphaned()  # it went before the kernel was asked
    with contextlib.suppress(OSError):
        for path in Path("/dev/fd").iterdir():
            with contextlib.suppress(OSError):
                os.set_inheritable(int(path.name), int(path.name) <= 2)
    _messages_fd = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def receive() -> Any:
    """Wait for the next message; when the parent is gone instead, this process ends at once, and all of its run.

    Reads the descriptor itself: a thread that waits in it holds no lock that exit needs.
    """
    return pickle.loads(_read(struct.unpack("<q", _read(8))[0]))


def end_if_orphaned() -> None:
    """End this process, and all of its run, if its parent is gone. The last thing that a child does: when its siblings
    are killed their pipes break, and what that raises must not end it before it has cleared up.
    """
    if os.getppid() != _parent:
        _end_as_orphan()


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(_messages_fd, count - len(data))
        if not more:
            _end_as_orphan()
        data += more
    return data


def _end_as_orphan() -> None:
    if _clears_up or sys.platform != "linux":
        kill_marked(os.environ.get(MARK, ""), 0 if sys.platform == "linux" else os.getpgrp())
    os._exit(ORPHANED)
