"""A producer that the kernel lets run when a request is due, though its own pipeline keeps all cores busy."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.host.scheduling import Scheduling, ask, current

SHORT_SLICE_US = 100.0  # the shortest that Linux grants
AT_MOST_AWAKE_NS = 2_000_000
"""How long it keeps its precedence without sleeping: behind its schedule, or at rates at which it always spins, it has
to share the cores with its pipeline like everybody."""
GUARD_US = 200_000  # a thread of SCHED_FIFO that does not sleep for so long is ended by the kernel
LATE_NS, LATE_SHARE, LATE_LEAST = 500_000, 0.005, 1
"""Real time is asked for when more than this share of the requests, and more than this number, were issued later than
this. Where a core is free it gains nothing, and the first stage wakes up later."""
WAYS = (
    Scheduling("SCHED_FIFO", priority=1),
    Scheduling(nice=-10, slice_us=SHORT_SLICE_US),
    Scheduling(slice_us=SHORT_SLICE_US),
)
"""From the best to what every user may have."""


class Precedence:
    """The first of some ways that this user may have, for the calling thread; off until `take`.

    One of a real-time policy takes the place of a milder one only when the thread has been late with that. None of them
    is asked for a thread that was given a policy or a nice value of its own: somebody wanted that.
    """

    def __init__(self, ways: Sequence[Scheduling] = WAYS) -> None:
        self.taken = False
        self._late = 0
        self._found = usual = current()
        self._way = self._real_time = None
        if usual is None or usual.policy != "SCHED_OTHER" or usual.nice:
            return
        milder = next((way for way in ways if way.policy == "SCHED_OTHER" and ask(way)), None)
        self._real_time = next((way for way in ways if way.policy != "SCHED_OTHER" and ask(way)), None)
        self._way = milder or self._real_time
        if self._way is not None:
            ask(self._way)
            self._found = current()
            ask(Scheduling())
        if self._real_time is not None:
            with contextlib.suppress(ValueError, OSError):  # a lower limit is there already
                resource.setrlimit(resource.RLIMIT_RTTIME, (GUARD_US, resource.getrlimit(resource.RLIMIT_RTTIME)[1]))

    @property
    def effective(self) -> dict[str, Any]:
        """What the kernel said of the thread when it last got precedence, or of its usual state if it never had any."""
        return asdict(self._found) if self._found else {}

    def take(self) -> None:
        """Have precedence from now on."""
        self.taken = True
        if self._way is not None:
            ask(self._way)

    def leave(self) -> None:
        """Be as everybody."""
        self.taken = False
        if self._way is not None:
            ask(Scheduling())

    def was_late(self, requests: int) -> None:
        """It had slept and was later than LATE_NS. requests: how many there have been."""
        self._late += 1
        if self._late > max(LATE_LEAST, LATE_SHARE * requests) and self._real_time not in (None, self._way):
            self._way = self._real_time
            self.take()
            self._found = current()
