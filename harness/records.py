"""RunRecords: one row a request, every stamp of it, the same from every executor. All else is computed from these.

A row is int64 throughout, so that a worker stamps it through one memoryview, in place, in shared memory:

    due image phase outcome failed_stage answer | offered accepted taken started done worker batch [parts] | ...

with one group a stage. Times are ns of the monotonic clock; 0 means that it never happened.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import SaveError, UsageError

SCHEMA_VERSION = 1
REQUEST_FIELDS = ("due", "image", "phase", "outcome", "failed_stage", "answer")
STAGE_FIELDS = ("offered", "accepted", "taken", "started", "done", "worker", "batch")
STAMPS = STAGE_FIELDS[:5]
ROWS_AT_ONCE = 1 << 18
"""Of a file that is written: so many are copied at a time."""

Ints = NDArray[np.int64]


class Phase:
    """What a request ran for. Statistics use `measured`. Plain integers, as the records hold them."""

    MEASURED: Final = 0
    WARMUP: Final = 1
    CALIBRATION: Final = 2


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
class Layout:
    """Which column of a row holds what. stages: names in order; parts: for each, the named parts of its service."""

    stages: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of each request field and of each `stage.field`."""
        names = list(REQUEST_FIELDS)
        for stage, parts in zip(self.stages, self.parts, strict=True):
            names += [f"{stage}.{field}" for field in (*STAGE_FIELDS, *(f"part_{p}" for p in parts))]
        return {name: index for index, name in enumerate(names)}

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(self.columns)

    def base(self, stage: int) -> int:
        """First column of a stage's group."""
        return self.columns[f"{self.stages[stage]}.offered"]


@dataclass(frozen=True)
class StageRecords:
    """The columns of one stage, each of shape (n,)."""

    name: str
    offered: Ints
    accepted: Ints
    taken: Ints
    started: Ints
    done: Ints
    worker: Ints
    batch: Ints
    parts: Mapping[str, Ints]


@dataclass(frozen=True)
class RunRecords:
    """The requests of a run in the order of their rows, which is the order in which they were issued.

    rows: shape (n, layout.width), int64. `failures` holds the reason of each failed request by row.
    """

    layout: Layout
    rows: Ints
    failures: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""
        return self.rows[:, self.layout.columns[name]]

    def stage(self, index: int) -> StageRecords:
        """The columns of the stage at `index`."""
        name = self.layout.stages[index]
        return StageRecords(
            name=name,
            **{field: self.column(f"{name}.{field}") for field in STAGE_FIELDS},
            parts={part: self.column(f"{name}.part_{part}") for part in self.layout.parts[index]},
        )

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
        return self.column(f"{self.layout.stages[0]}.offered")

    @property
    def completed(self) -> Ints:
        """When the last stage was done with it, ns."""
        return self.column(f"{self.layout.stages[-1]}.done")

    @property
    def outcome(self) -> Ints:
        """A value of Outcome each."""
        return self.column("outcome")

    def select(self, mask: NDArray[np.bool_] | slice) -> RunRecords:
        """The rows that `mask` picks."""
        if not self.failures:
            return RunRecords(self.layout, self.rows[mask], {})
        indices = np.arange(len(self))[mask]
        where = {int(row): i for i, row in enumerate(indices)}
        return RunRecords(
            self.layout, self.rows[mask], {where[r]: why for r, why in self.failures.items() if r in where}
        )

    def of_phase(self, phase: int) -> RunRecords:
        """The requests that ran for `phase`, a value of Phase."""
        return self.select(self.column("phase") == phase)

    def with_outcome(self, *outcomes: int) -> RunRecords:
        """The requests that ended in one of these ways, values of Outcome."""
        return self.select(np.isin(self.outcome, outcomes))


# ------------------------------------------------------------------ files


def save(records: RunRecords, path: Path, meta: Mapping[str, Any]) -> None:
    """Write records as Parquet, one column a field; complete, and on disk, or not at all. Raises SaveError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = {
        "schema_version": SCHEMA_VERSION,
        "stages": records.layout.stages,
        "parts": records.layout.parts,
        **meta,
    }
    fields = [(name, pa.int64()) for name in records.layout.columns]
    schema = pa.schema([*fields, ("failure", pa.string())], {"harness": json.dumps(header)})
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:  # pyarrow opens no path that is not UTF-8
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for first in range(0, len(records), ROWS_AT_ONCE):
                    part = range(first, min(first + ROWS_AT_ONCE, len(records)))
                    columns = [pa.array(records.rows[part.start : part.stop, i]) for i in range(len(fields))]
                    reasons = pa.array([_encodable(records.failures.get(i)) for i in part], pa.string())
                    writer.write_table(pa.table([*columns, reasons], schema))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, MemoryError, pa.ArrowException) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise SaveError(f"cannot write the records: {error}", where=str(path)) from None


def _encodable(reason: str | None) -> str | None:
    """A lone surrogate, as which an undecodable byte comes, as its escape: no UTF-8 says it."""
    return None if reason is None else reason.encode("utf-8", "backslashreplace").decode()


def load(path: Path) -> tuple[RunRecords, dict[str, Any]]:
    """Read what `save` wrote: the records and its `meta`. Raises UsageError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
        header = json.loads((table.schema.metadata or {})[b"harness"])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UsageError(f"not the records of a run: {error}", where=str(path)) from None
    if header["schema_version"] > SCHEMA_VERSION:
        raise UsageError(
            f"records of schema {header['schema_version']}; this version reads up to {SCHEMA_VERSION}",
            where=str(path),
            hint="Update the harness.",
        )
    layout = Layout(tuple(header["stages"]), tuple(tuple(p) for p in header["parts"]))
    rows = np.empty((table.num_rows, layout.width), np.int64)
    for name, index in layout.columns.items():
        rows[:, index] = table.column(name).to_numpy()
    reasons = table.column("failure").to_pylist()
    return RunRecords(layout, rows, {i: why for i, why in enumerate(reasons) if why is not None}), header
