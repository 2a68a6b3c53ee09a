"""Records as a Parquet file: one column a field and the reasons of failures, in row groups of BLOCK_ROWS rows."""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.errors import SaveError, UsageError
from harness.files import replacing
from harness.records.derived import batches
from harness.records.growing import GrowingFile
from harness.records.layout import Layout, LoadKind, StageLayout
from harness.records.records import RunRecords
from harness.records.sources import BLOCK_ROWS, Chosen, Ints, Loaded, Selection, joined

SCHEMA_VERSION = 2
"""1 had no stages upstream, no `batching` and no kind of load in its header: see `_layout`."""
IN_MEMORY_BYTES = 64 * 2**20
"""A file whose rows take no more than this is read at once and closed; of a larger one columns are read when asked
for."""
FAILURE = "failure"


class RecordsWriter:
    """Writes records block by block into a file that is open for writing and seeking; `finish` makes it whole.

    Raises SaveError, from every method, where the file cannot take it; nothing of it can be read then. It holds the
    rows of one row group, whatever the number of them all.
    """

    def __init__(self, file: IO[bytes] | GrowingFile, layout: Layout, meta: Mapping[str, Any], where: str = "") -> None:
        """meta: further keys of the header, JSON. where: what to call the file in an error."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.layout = layout
        self.rows_written = 0
        """Rows given so far, those of the row group that is not full included."""
        self._file = file
        self._where = where
        self._group = np.empty((BLOCK_ROWS, layout.width), np.int64, order="F")
        self._filled = 0
        self._failures: dict[int, str] = {}
        columns = [(name, pa.int64()) for name in layout.columns]
        self._schema = pa.schema([*columns, (FAILURE, pa.string())], {"harness": json.dumps(_header(layout, meta))})
        # Stamps grow by little from row to row: their differences take a third of the space and a sixth of the time
        # of the dictionaries that are the default.
        self._options = {
            "compression": "zstd",
            "use_dictionary": False,
            "column_encoding": dict.fromkeys(layout.columns, "DELTA_BINARY_PACKED"),
            "write_statistics": [FAILURE],
        }
        with self._as_save_error():
            self._writer = pq.ParquetWriter(file, self._schema, **self._options)

    def warm_up(self) -> None:
        """Take the memory that a row group takes, before anything is measured: some 50 MB for three stages."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._group[:] = np.random.default_rng(0).integers(0, 1 << 40, self._group.shape)
        pq.write_table(self._table(BLOCK_ROWS), pa.BufferOutputStream(), **self._options)

    def append(self, rows: Ints, failures: Mapping[int, str] | None = None) -> None:
        """Add rows, shape (n, layout.width), which are copied. failures: reasons by row of these."""
        for row, why in (failures or {}).items():
            self._failures[self._filled + row] = why
        while len(rows):
            part = rows[: BLOCK_ROWS - self._filled]
            self._group[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            self.rows_written += len(part)
            rows = rows[len(part) :]
            if self._filled == BLOCK_ROWS:
                self._write_group()

    def finish(self) -> None:
        """Write what is left, and return when all of it is on disk."""
        if self._filled:
            self._write_group()
        with self._as_save_error():
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())

    def _write_group(self) -> None:
        count, self._filled = self._filled, 0
        with self._as_save_error():
            self._writer.write_table(self._table(count), row_group_size=BLOCK_ROWS)
        self._failures = {row - count: why for row, why in self._failures.items() if row >= count}

    def _table(self, count: int) -> Any:
        import pyarrow as pa

        columns = [pa.array(self._group[:count, i]) for i in range(self.layout.width)]
        reasons = pa.nulls(count, pa.string())
        if self._failures:
            reasons = pa.array([_encodable(self._failures.get(row)) for row in range(count)], pa.string())
        return pa.table([*columns, reasons], self._schema)

    @contextlib.contextmanager
    def _as_save_error(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (OSError, MemoryError, pa.ArrowException) as error:
            raise SaveError(f"cannot write the records: {error}", where=self._where) from None


def save(records: RunRecords, path: Path, meta: Mapping[str, Any]) -> None:
    """Write records to a file; complete, and on disk, or not at all. meta: see RecordsWriter. Raises SaveError."""
    try:
        with replacing(path) as file:
            writer = RecordsWriter(file, records.layout, meta, str(path))
            for block in records.blocks():
                writer.append(block.rows, block.failures)
            writer.finish()
    except OSError as error:
        raise SaveError(f"cannot write the records: {error}", where=str(path)) from None


def load(path: Path, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> tuple[RunRecords, dict[str, Any]]:
    """Records that were written, and their header with what was given as `meta`. Raises UsageError.

    in_memory_bytes: files whose rows take more are read by column and block, and stay open as long as their records
    are there; they may be renamed or removed meanwhile.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"not the records of a run: {error}", where=str(path)) from None
    return read(file, str(path), in_memory_bytes=in_memory_bytes)


def read(file: IO[bytes], where: str, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> tuple[RunRecords, dict[str, Any]]:
    """As `load`, of a file that is open for reading and belongs to the records from here on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        header = json.loads((parquet.schema_arrow.metadata or {})[b"harness"])
        version = header["schema_version"]
        if version > SCHEMA_VERSION:
            file.close()
            raise UsageError(
                f"records of schema {version}; this version reads up to {SCHEMA_VERSION}",
                where=where,
                hint="Update the harness.",
            )
        source = Stored(file, parquet, _layout(header))
        if version == 1:
            source.layout = _with_facts(source)
        records = RunRecords.of(source.layout, source)
        if len(source) * source.layout.width * 8 <= in_memory_bytes:
            records = RunRecords(source.layout, source.matrix(), source.failures)
            file.close()
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        file.close()
        raise UsageError(f"not the records of a run: {error}", where=where) from None
    return records, header


class Stored:
    """A source (see sources.py) of the rows of a file."""

    def __init__(self, file: IO[bytes], parquet: Any, layout: Layout) -> None:
        self.layout = layout
        self._parquet = parquet
        weakref.finalize(self, file.close)

    def __len__(self) -> int:
        return int(self._parquet.metadata.num_rows)

    @cached_property
    def failures(self) -> Mapping[int, str]:
        """Why a request failed, by row."""
        found: dict[int, str] = {}
        first = 0
        for group in range(self._parquet.num_row_groups):
            count = self._parquet.metadata.row_group(group).num_rows
            found |= {first + row: why for row, why in self._reasons(group).items()}
            first += count
        return found

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""
        return joined([block.column(name) for block in self.blocks([name])])

    def matrix(self) -> Ints:
        """All columns, shape (n, layout.width)."""
        rows = np.empty((len(self), self.layout.width), np.int64)
        first = 0
        for block in self.blocks(tuple(self.layout.columns)):
            for name, index in self.layout.columns.items():
                rows[first : first + len(block), index] = block.column(name)
            first += len(block)
        return rows

    def select(self, chosen: Chosen) -> Selection:
        """Some of the rows, in order."""
        return Selection(self.layout, self, chosen)

    def blocks(self, columns: Sequence[str]) -> Iterator[Loaded]:
        """Consecutive pieces in memory, with these columns at least."""
        for group in range(self._parquet.num_row_groups):
            table = self._parquet.read_row_group(group, columns=list(columns))
            loaded = {name: table.column(name).to_numpy() for name in columns}
            count = self._parquet.metadata.row_group(group).num_rows
            yield from Loaded(self.layout, loaded, count, self._reasons(group)).blocks(columns)

    def _reasons(self, group: int) -> dict[int, str]:
        held = self._parquet.metadata.row_group(group)
        statistics = held.column(held.num_columns - 1).statistics
        if statistics is not None and statistics.has_null_count and statistics.null_count == held.num_rows:
            return {}
        reasons = self._parquet.read_row_group(group, columns=[FAILURE]).column(FAILURE)
        return {row: why for row, why in enumerate(reasons.to_pylist()) if why is not None}


def _header(layout: Layout, meta: Mapping[str, Any]) -> dict[str, Any]:
    stages = [{"name": s.name, "upstream": s.upstream, "batching": s.batching, "parts": s.parts} for s in layout.stages]
    return {"schema_version": SCHEMA_VERSION, "load": layout.load, "stages": stages, **meta}


def _layout(header: Mapping[str, Any]) -> Layout:
    """The layout of a header. One of schema 1 has the names and the parts alone: each stage was behind the one before
    it, and what else there is to know stands in the rows (`_with_facts`)."""
    if header["schema_version"] == 1:
        return Layout.tandem(header["stages"], parts=dict(zip(header["stages"], header["parts"], strict=True)))
    stages = (
        StageLayout(s["name"], tuple(s["upstream"]), bool(s["batching"]), tuple(s["parts"])) for s in header["stages"]
    )
    load: LoadKind = "closed" if header["load"] == "closed" else "open"
    return Layout(tuple(stages), load)


def _with_facts(stored: Stored) -> Layout:
    """The layout of a file of schema 1, whose header does not say it: a stage batches where any two requests were
    served together, and the load is closed where requests became due when others ended, to the nanosecond."""
    plain = stored.layout
    together: set[str] = set()
    closed = False
    wanted = ["due", *(f"{name}.{field}" for name in plain.names for field in ("done", "batch"))]
    for block in RunRecords.of(plain, stored).blocks(wanted):
        for stage in block.stages:
            if stage.name not in together and (batches(stage.batch[stage.done > 0]).size > 1).any():
                together.add(stage.name)
        ends = np.concatenate([stage.done for stage in block.stages])
        closed = closed or bool(np.isin(block.due, ends[ends > 0]).mean() > 0.1)
    parts = {stage.name: stage.parts for stage in plain.stages}
    return Layout.tandem(plain.names, batching=together, parts=parts, load="closed" if closed else "open")


def _encodable(reason: str | None) -> str | None:
    """A lone surrogate, as which an undecodable byte comes, as its escape: no UTF-8 says it."""
    return None if reason is None else reason.encode("utf-8", "backslashreplace").decode()
