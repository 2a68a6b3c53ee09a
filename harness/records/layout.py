"""What a row of the records holds, and where.

A row is int64 throughout, so that a worker stamps it through one memoryview, in place, in shared memory:

    due image phase outcome failed_stage answer | offered accepted taken started done worker batch [parts] | ...

with one group a stage. Times are ns of the monotonic clock; 0 means that it never happened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

REQUEST_FIELDS = ("due", "image", "phase", "outcome", "failed_stage", "answer")
STAGE_FIELDS = ("offered", "accepted", "taken", "started", "done", "worker", "batch")
STAMPS = STAGE_FIELDS[:5]

DUE, IMAGE, PHASE, OUTCOME, FAILED_STAGE, ANSWER = range(len(REQUEST_FIELDS))
"""Columns of a row."""
FIRST_STAGE = len(REQUEST_FIELDS)
"""Column at which the first stage's group begins."""
OFFERED, ACCEPTED, TAKEN, STARTED, DONE, WORKER, BATCH = range(len(STAGE_FIELDS))
"""Columns within a stage's group, counted from `Layout.base` of the stage."""
PARTS = len(STAGE_FIELDS)
"""The first part of the service within a stage's group; without parts, the length of a group."""

LoadKind = Literal["open", "closed"]


class Phase:
    """What a request ran for. Statistics use `measured`. Plain integers, as the records hold them."""

    MEASURED: Final = 0
    WARMUP: Final = 1
    SATURATION: Final = 2


class Outcome:
    """How a request ended. `aborted`: the run ended first. Plain integers, as the records hold them.

    Not an IntEnum: NumPy looks up attributes of operands that it does not know, and drops what is raised meanwhile;
    where a signal handler raised it, a Ctrl-C is lost.
    """

    PENDING: Final = 0
    COMPLETED: Final = 1
    FAILED: Final = 2
    DROPPED: Final = 3
    ABORTED: Final = 4


ENDED: Final = {
    Outcome.COMPLETED: "completed",
    Outcome.FAILED: "failed",
    Outcome.DROPPED: "dropped",
    Outcome.ABORTED: "aborted",
}
"""The outcomes of requests that have ended, and what they are called."""


@dataclass(frozen=True)
class StageLayout:
    """One stage of a pipeline, as its records need to know it.

    upstream: the names of the stages whose results it takes; none for the first. batching: whether a worker may serve
    several requests together. parts: the named parts of its service.
    """

    name: str
    upstream: tuple[str, ...] = ()
    batching: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Which column of a row holds what, and what kind of pipeline and load the rows come from.

    stages: in order. load: `open` where requests are due by a schedule, `closed` where the end of one makes the next
    one due.
    """

    stages: tuple[StageLayout, ...]
    load: LoadKind = "open"

    @classmethod
    def tandem(
        cls,
        names: Sequence[str],
        *,
        batching: Collection[str] = (),
        parts: Mapping[str, Sequence[str]] | None = None,
        load: LoadKind = "open",
    ) -> Layout:
        """Stages one behind the other. batching, parts: of the stages of these names."""
        upstream = ((), *((name,) for name in names))
        stages = (
            StageLayout(name, before, name in batching, tuple((parts or {}).get(name, ())))
            for name, before in zip(names, upstream, strict=False)
        )
        return cls(tuple(stages), load)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the stages, in order."""
        return tuple(stage.name for stage in self.stages)

    @cached_property
    def batching(self) -> frozenset[str]:
        """Names of the stages whose workers may serve several requests together."""
        return frozenset(stage.name for stage in self.stages if stage.batching)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of each request field and of each `stage.field`."""
        names = list(REQUEST_FIELDS)
        for stage in self.stages:
            names += [f"{stage.name}.{field}" for field in (*STAGE_FIELDS, *(f"part_{p}" for p in stage.parts))]
        return {name: index for index, name in enumerate(names)}

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(self.columns)

    def stage(self, which: str | int) -> StageLayout:
        """The stage of a name or at an index."""
        return self.stages[which if isinstance(which, int) else self.names.index(which)]

    def base(self, which: str | int) -> int:
        """First column of the group of the stage of a name or at an index."""
        return self.columns[f"{self.stage(which).name}.offered"]
