"""How the kernel schedules the calling thread: read it, and ask for another policy (Linux)."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from functools import cache

_CALLS = {
    "x86_64": (314, 315),
    "aarch64": (274, 275),
    "riscv64": (274, 275),
    "ppc64le": (355, 356),
    "s390x": (345, 346),
}
"""Numbers of the system calls sched_setattr and sched_getattr, for which C libraries have no function until 2024."""
_RESET_ON_FORK = 1
_POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE", 6: "SCHED_DEADLINE"}


@dataclass(frozen=True)
class Scheduling:
    """A thread's scheduling as sched_getattr(2) reports it.

    priority: of the real-time policies, 1 to 99. slice_us: how long a thread of SCHED_OTHER may run before others that
    wait get their turn; a shorter one is served sooner. 0 where the kernel does not tell (before Linux 6.12), and for
    the other policies.
    """

    policy: str = "SCHED_OTHER"
    nice: int = 0
    priority: int = 0
    slice_us: float = 0.0


class _Attributes(ctypes.Structure):
    """struct sched_attr of its first version; runtime is the slice, in ns."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def current() -> Scheduling | None:
    """How the calling thread is scheduled; None where the system does not tell."""
    found = _Attributes(size=ctypes.sizeof(_Attributes))
    if not _call(1, ctypes.byref(found), found.size, 0):
        return None
    policy = _POLICIES.get(found.policy, str(found.policy))
    return Scheduling(policy, found.nice, found.priority, found.runtime / 1e3 if policy == "SCHED_OTHER" else 0.0)


def ask(wanted: Scheduling) -> bool:
    """Ask for this scheduling of the calling thread; threads and processes that it starts do not inherit it.

    A slice of 0 is the usual one. Returns whether it is so now, as the kernel says afterwards.
    """
    policy = next(number for number, name in _POLICIES.items() if name == wanted.policy)
    attributes = _Attributes(
        ctypes.sizeof(_Attributes),
        policy,
        _RESET_ON_FORK,
        wanted.nice,
        wanted.priority,
        round(wanted.slice_us * 1e3),
    )
    if not _call(0, ctypes.byref(attributes), 0):
        return False
    now = current()
    return (
        now is not None
        and (now.policy, now.priority) == (wanted.policy, wanted.priority)
        and (wanted.policy != "SCHED_OTHER" or (now.nice == wanted.nice and wanted.slice_us in (0.0, now.slice_us)))
    )


def _call(which: int, *arguments: object) -> bool:
    numbers = _CALLS.get(platform.machine())
    if numbers is None or os.uname().sysname != "Linux":
        return False
    result: int = _library().syscall(numbers[which], 0, *arguments)
    return result == 0


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
