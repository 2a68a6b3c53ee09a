"""The one clock. Every stamp in a record is nanoseconds of the system-wide monotonic clock."""

from __future__ import annotations

import time

PR_SET_TIMERSLACK = 29

now_ns = time.monotonic_ns
"""Current time in ns: comparable between the processes of one boot, never stepped back."""

SPIN_NS = 120_000
"""How long before its deadline `wait_until` stops sleeping: the usual lateness of a timer on a virtual machine."""


def wait_until(deadline_ns: int, spin_ns: int = SPIN_NS) -> int:
    """Sleep until shortly before `deadline_ns`, then spin; return the time at which it ended, in ns."""
    now = now_ns()
    asleep_ns = deadline_ns - now - spin_ns
    if asleep_ns > 0:
        time.sleep(asleep_ns / 1e9)
        now = now_ns()
    while now < deadline_ns:
        now = now_ns()
    return now


def sharpen_timers() -> None:
    """Let the sleeps of this thread, and of those it starts, end up to 50 us sooner (Linux).

    See prctl(2), PR_SET_TIMERSLACK: the kernel joins timers that lie within the slack.
    """
    import ctypes  # 10 ms that no other user of the clock has to pay

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
