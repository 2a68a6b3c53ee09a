"""RunRecords: one row a request, every stamp of it, the same from every executor. All else is computed from these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.layout import STAGE_FIELDS, Layout, StageLayout
from harness.records.sources import Chosen, Ints, Matrix, Source


@dataclass(frozen=True)
class StageRecords:
    """The columns of one stage, each of shape (n,), read when they are asked for. Times in ns; 0: it never happened."""

    layout: StageLayout
    _source: Source

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.layout.name

    @property
    def offered(self) -> Ints:
        """When whoever is upstream asked for a slot of its channel."""
        return self._column("offered")

    @property
    def accepted(self) -> Ints:
        """When the slot was had."""
        return self._column("accepted")

    @property
    def taken(self) -> Ints:
        """When a worker took the request."""
        return self._column("taken")

    @property
    def started(self) -> Ints:
        """When its service began."""
        return self._column("started")

    @property
    def done(self) -> Ints:
        """When its service had ended."""
        return self._column("done")

    @property
    def worker(self) -> Ints:
        """Index of the worker that served it."""
        return self._column("worker")

    @property
    def batch(self) -> Ints:
        """Which batch it was served in: those served together have the same number, others another one."""
        return self._column("batch")

    @property
    def parts(self) -> Mapping[str, Ints]:
        """The named parts of its service, ns."""
        return {part: self._column(f"part_{part}") for part in self.layout.parts}

    def _column(self, field: str) -> Ints:
        return self._source.column(f"{self.name}.{field}")


class RunRecords:
    """The requests of a run in the order of their rows, which is the order in which they were issued.

    They lie in memory, or in a file from which a column is read when it is asked for (each time anew). What must not
    grow with the number of requests goes through `blocks`.
    """

    def __init__(self, layout: Layout, rows: Ints, failures: Mapping[int, str] | None = None) -> None:
        """rows: shape (n, layout.width), int64. failures: the reason of each failed request by row."""
        self.layout = layout
        self._source: Source = Matrix(layout, rows, failures or {})

    @classmethod
    def of(cls, layout: Layout, source: Source) -> RunRecords:
        """The records of any source."""
        records = cls.__new__(cls)
        records.layout = layout
        records._source = source
        return records

    def __len__(self) -> int:
        return len(self._source)

    @property
    def rows(self) -> Ints:
        """All of it as one matrix, shape (n, layout.width): 8 bytes a value. Of a file, a copy that is read-only."""
        rows = self._source.matrix()
        if not isinstance(self._source, Matrix):
            rows.flags.writeable = False
        return rows

    @property
    def failures(self) -> Mapping[int, str]:
        """Why a request failed, by row."""
        return self._source.failures

    def column(self, name: str) -> Ints:
        """One column, shape (n,); `layout.columns` has the names. Raises KeyError where a block was not given it."""
        return self._source.column(name)

    def stage(self, which: str | int) -> StageRecords:
        """The columns of the stage of a name or at an index."""
        return StageRecords(self.layout.stage(which), self._source)

    @property
    def stages(self) -> Sequence[StageRecords]:
        """Every stage, in order."""
        return [self.stage(i) for i in range(len(self.layout.stages))]

    @property
    def due(self) -> Ints:
        """When the schedule said that each request arrives, ns."""
        return self.column("due")

    @property
    def issued(self) -> Ints:
        """When the producer offered it, ns."""
        return self.stage(0).offered

    @property
    def completed(self) -> Ints:
        """When the last stage was done with it, ns."""
        return self.stage(-1).done

    @property
    def outcome(self) -> Ints:
        """A value of Outcome each."""
        return self.column("outcome")

    def select(self, chosen: Chosen) -> RunRecords:
        """The rows that a mask of shape (n,) or a slice picks; these records themselves where a mask picks all."""
        if not isinstance(chosen, slice) and chosen.all():
            return self
        return RunRecords.of(self.layout, self._source.select(chosen))

    def of_phase(self, phase: int) -> RunRecords:
        """The requests that ran for `phase`, a value of Phase."""
        return self.select(self.column("phase") == phase)

    def with_outcome(self, *outcomes: int) -> RunRecords:
        """The requests that ended in one of these ways, values of Outcome."""
        return self.select(np.isin(self.outcome, outcomes))

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[RunRecords]:
        """All rows in order, in consecutive records of at most BLOCK_ROWS (65,536) rows that lie in memory.

        columns: those that are wanted, by name (of a stage: `stage_columns`); None: all. Others may raise KeyError.
        The reasons of failures come with each block, by row of the block.
        """
        names = tuple(self.layout.columns) if columns is None else tuple(columns)
        for block in self._source.blocks(names):
            yield RunRecords.of(self.layout, block)


def stage_columns(stage: StageLayout, *names: str) -> tuple[str, ...]:
    """Names of columns of a stage, such as `taken` and `done`; all of them where none is named."""
    every = (*STAGE_FIELDS, *(f"part_{part}" for part in stage.parts))
    return tuple(f"{stage.name}.{name}" for name in names or every)
