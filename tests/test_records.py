"""The records of a run: what is written comes back, and nothing is taken for records that is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import records
from harness.errors import UsageError
from harness.records import ENDED, Layout, Outcome, Phase, RunRecords

LAYOUT = Layout(("first", "second"), (("decode", "resize"), ()))


def some(count: int) -> RunRecords:
    rows = np.arange(count * LAYOUT.width, dtype=np.int64).reshape(count, LAYOUT.width)
    rows[:, LAYOUT.columns["outcome"]] = np.arange(count) % 4 + 1
    return RunRecords(LAYOUT, rows, {i: f"reason {i}" for i in range(1, count, 4)})


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int64, st.tuples(st.integers(0, 20), st.just(LAYOUT.width))))
def test_records_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, rows: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("records") / "records.parquet"
    written = RunRecords(LAYOUT, rows, {0: "not an image: ü"} if len(rows) else {})
    records.save(written, path, {"name": "x"})
    read, header = records.load(path)
    assert read.layout == LAYOUT
    assert (read.rows == rows).all()
    assert read.failures == written.failures
    assert header["name"] == "x"
    assert list(path.parent.iterdir()) == [path], "no partial file is left"


def test_a_selection_keeps_the_reasons_of_its_rows() -> None:
    failed = some(12).with_outcome(Outcome.FAILED)
    assert len(failed) == 3
    assert failed.failures == {0: "reason 1", 1: "reason 5", 2: "reason 9"}


def test_every_field_has_a_column_of_its_own() -> None:
    one = some(5)
    first, second = one.stages
    seen = [one.due, one.outcome, *(getattr(s, f) for s in (first, second) for f in records.STAGE_FIELDS)]
    seen += list(first.parts.values())
    assert len({column.tobytes() for column in seen}) == len(seen)
    assert (one.issued == first.offered).all()
    assert (one.completed == second.done).all()


def test_what_is_not_the_records_of_a_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(UsageError, match="not the records of a run"):
        records.load(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UsageError, match="not the records of a run"):
        records.load(path)


def test_records_of_a_later_schema_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    records.save(some(2), path, {})
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"harness"])
    header["schema_version"] += 1
    pq.write_table(table.replace_schema_metadata({"harness": json.dumps(header)}), path)
    with pytest.raises(UsageError, match="Update the harness"):
        records.load(path)


def test_phases_and_outcomes_are_plain_integers() -> None:
    """Compared with an array, an IntEnum makes NumPy look up attributes of it and drop what a signal handler raises
    meanwhile."""
    constants = [value for kind in (Phase, Outcome) for name, value in vars(kind).items() if name.isupper()]
    assert len(constants) == 8
    assert all(type(value) is int for value in constants)
    assert set(ENDED) == {value for name, value in vars(Outcome).items() if name.isupper() and name != "PENDING"}
