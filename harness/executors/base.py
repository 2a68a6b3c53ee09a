"""What executors share: the commands that a session gives them and the report that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness import host
from harness.errors import HarnessError
from harness.executors.ring import Ring
from harness.plan import Plan
from harness.records import RunRecords


@dataclass(frozen=True)
class LoadCommand:
    """Offer the rows [first, last) to the first stage.

    scheduled: each at its due time. Its row holds the time from the start of the schedule, and when it is next the
    absolute one: `start_ns` is known only when the first rows have been written. closed: `concurrency` in flight, the
    next when one ends. saturate: as fast as the first channel takes them. stop_after_ns ends a closed or saturated load
    so long after the row `timed_from` was due; 0 never.
    """

    first: int
    last: int
    mode: Literal["scheduled", "closed", "saturate"]
    start_ns: int = 0
    concurrency: int = 0
    shed: bool = False
    stop_after_ns: int = 0
    timed_from: int = 0


@dataclass
class WorkerReport:
    """One process of a run, or one worker thread: what it cost to start and what is in effect in it."""

    name: str
    stage: str
    pid: int
    startup_s: Mapping[str, float] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0
    """Among the workers of its stage, as in the records."""
    first: host.ProcessUsage | None = None
    last: host.ProcessUsage | None = None
    """What it used when the measured requests began, and when it was last looked at."""

    def observe(self, usage: host.ProcessUsage) -> None:
        """Keep a reading."""
        self.first = self.first or usage
        self.last = usage


_NONE = np.empty(0, np.int64)

Failure = asyncio.Future[HarnessError]
"""Resolves when an executor cannot go on."""


class Executor(Protocol):
    """An executor of one Plan. A session starts it, gives it rows to issue, and stops it."""

    ring: Ring
    """The records, of `plan.ring_rows` rows, filled in place. A row may be issued once it lies before the ring's LIMIT,
    and is not touched any more once its outcome and every `done` that it is to have are there."""
    failures: dict[int, str]
    """Why a request failed, by row."""
    failure: Failure

    @property
    def workers(self) -> Sequence[WorkerReport]:
        """A report for every process or thread."""

    async def start(self) -> None:
        """Return when every worker is ready."""

    def issue(self, command: LoadCommand) -> None:
        """Begin to issue; `issuing` is true until the last row of the command was offered."""

    @property
    def issuing(self) -> bool:
        """Whether the producer is still at work."""

    @property
    def issued(self) -> int:
        """The row after the last one that was offered."""

    def sample(self) -> None:
        """Read the memory and the context switches of every process into its report."""

    async def stop(self, hurry: asyncio.Event) -> None:
        """End everything that was started, whatever state it is in, in bounded time. Safe to call twice.

        hurry: once it is set nothing is waited for that can be killed instead.
        """


@dataclass(frozen=True)
class Ending:
    """How what was executed ended; the signal that interrupted it, or 0."""

    status: Literal["completed", "failed", "interrupted"]
    error: HarnessError | None = None
    signal: int = 0


@dataclass
class Execution:
    """What happened: the records of every issued request, and how the run ended."""

    plan: Plan
    records: RunRecords
    status: Literal["completed", "failed", "interrupted"]
    workers: Sequence[WorkerReport]
    started_at: str
    saturated_rps: float | None = None
    offered_rps: float | None = None
    scheduled: int | None = None
    """Measured requests that were to be issued; None where only the run could tell."""
    error: HarnessError | None = None
    signal: int = 0
    host: Mapping[str, Any] = field(default_factory=dict)
    counted: tuple[NDArray[np.int64], NDArray[np.int64]] = field(default_factory=lambda: (_NONE, _NONE))
    """When requests in flight were counted while the load lasted, ns, and how many: shape (m,) each."""
    waits: int = 0
    waited_ns: int = 0
    """How often, and for how long in all, the producer waited until rows had been written to the disk."""
