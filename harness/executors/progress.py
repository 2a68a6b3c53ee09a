"""How a pipeline gets on, for whoever watches: told every so often, from the live records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.clock import now_ns
from harness.plan import Plan
from harness.records import ACCEPTED, Outcome

PhaseName = Literal["starting", "calibrating", "running"]


@dataclass(frozen=True)
class Progress:
    """Where a pipeline stands.

    rows: the requests of the phase that are still in memory, the last ones that were issued, shape (m, width). They are
    live, and another request's later on: to be looked at before the observer returns, not kept and not changed. Of
    every request an observer is shown the row at least twice after it has ended, the second time with all stamps.
    first: how many of the phase came before them. issued: how many there are in all.
    """

    phase: PhaseName
    plan: Plan
    rows: NDArray[np.int64]
    first: int
    issued: int
    total: int | None
    ended: int
    depths: list[int]
    elapsed_s: float


Observer = Callable[[Progress], None]


class Reporter:
    """Calls an observer every `every_s` seconds, and stops once it has raised OSError."""

    def __init__(self, plan: Plan, observe: Observer, every_s: float) -> None:
        self._plan = plan
        self._observe = observe
        self._every_ns = int(every_s * 1e9)
        self._phase: PhaseName = "starting"
        self._begun = self._told = now_ns()

    def starting(self) -> None:
        """Tell that workers are being started."""
        self.tell(np.empty((0, self._plan.layout.width), np.int64), 0, 0, None)

    def begin(self, phase: PhaseName) -> None:
        """A phase begins now."""
        self._phase = phase
        self._begun = now_ns()

    def due(self) -> bool:
        """Whether it is time to tell; the next time is counted from here."""
        now = now_ns()
        if now - self._told < self._every_ns:
            return False
        self._told = now
        return True

    def tell(self, rows: NDArray[np.int64], first: int, ended: int, total: int | None) -> None:
        """rows: those of the phase that are in memory, of which `first` came before. ended: how many have ended."""
        elapsed_s = (now_ns() - self._begun) / 1e9
        issued, depths = first + len(rows), waiting(self._plan, rows)
        progress = Progress(self._phase, self._plan, rows, first, issued, total, ended, depths, elapsed_s)
        try:
            self._observe(progress)
        except OSError:  # whoever watched is gone; the measurement goes on
            self._observe = lambda progress: None


def waiting(plan: Plan, issued: NDArray[np.int64]) -> list[int]:
    """How many requests lie ready in front of each stage. issued: rows; only the last few can be unfinished."""
    columns = plan.layout.columns
    recent = issued[-sum(2 * s.capacity + s.workers * s.batch_max for s in plan.stages) :]
    recent = recent[recent[:, columns["outcome"]] == Outcome.PENDING]
    ready = recent[:, plan.layout.base(0) + ACCEPTED] > 0
    depths = []
    for stage in plan.stages:
        taken = recent[:, columns[f"{stage.name}.taken"]] > 0
        depths.append(int(np.count_nonzero(ready & ~taken)))
        ready = recent[:, columns[f"{stage.name}.done"]] > 0
    return depths
