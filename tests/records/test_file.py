"""The records of a run: what is written comes back, and nothing is taken for records that is not."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import records
from harness.errors import UsageError
from harness.records import Layout, Outcome, RecordsWriter, RunRecords
from harness.twin import Demand, Pipeline, Station, compiled

LAYOUT = Layout.tandem(["first", "second"], batching=["second"], parts={"first": ["decode", "resize"]}, load="closed")


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


def test_the_header_says_what_the_rows_do_not(tmp_path: Path) -> None:
    records.save(some(2), tmp_path / "r.parquet", {})
    read, header = records.load(tmp_path / "r.parquet")
    assert (read.layout.load, read.layout.batching) == ("closed", {"second"})
    assert [stage.upstream for stage in read.layout.stages] == [(), ("first",)]
    assert header["schema_version"] == 2


def as_of_schema_1(path: Path) -> None:
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"harness"])
    parts = [stage["parts"] for stage in header["stages"]]
    names = [stage["name"] for stage in header["stages"]]
    old = {"schema_version": 1, "stages": names, "parts": parts}
    pq.write_table(table.replace_schema_metadata({"harness": json.dumps(old)}), path)


@pytest.mark.parametrize("batch_max", [1, 3])
@pytest.mark.parametrize("closed", [False, True])
def test_of_an_older_file_the_facts_are_found_in_the_rows(tmp_path: Path, batch_max: int, closed: bool) -> None:
    pipeline = Pipeline((Station("one", 1, 4), Station("two", 1, 4, batch_max=batch_max, batch_timeout_ns=50)))
    service = tuple(np.full((200, 1), 30 + i) for i in range(2))
    due = np.arange(200) * 41 + 7
    demand = Demand(service, concurrency=4) if closed else Demand(service, due)
    made = compiled.simulate(pipeline, demand)
    records.save(made, tmp_path / "r.parquet", {})
    as_of_schema_1(tmp_path / "r.parquet")
    read, _ = records.load(tmp_path / "r.parquet")
    assert read.layout == made.layout
    assert read.layout.load == ("closed" if closed else "open")
    assert read.layout.batching == ({"two"} if batch_max > 1 else set())


@pytest.mark.slow
@given(st.integers(0, 40), st.integers(1, 9), st.data())
@settings(max_examples=50, deadline=None)
def test_a_file_that_is_read_piece_by_piece_is_the_one_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, count: int, group: int, data: st.DataObject
) -> None:
    """Whatever the row groups, the pieces in which it was written, and what is selected."""
    path = tmp_path_factory.mktemp("records") / "r.parquet"
    whole = some(count)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    with mock.patch("harness.records.file.BLOCK_ROWS", group), path.open("wb") as file:
        writer = RecordsWriter(file, LAYOUT, {})
        for first, last in itertools.pairwise([0, *cuts, count]):
            piece = whole.select(slice(first, last))
            writer.append(piece.rows, piece.failures)
        writer.finish()
    assert pq.read_metadata(path).num_row_groups == -(-count // group)
    stored, _ = records.load(path, in_memory_bytes=-1)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    begin, step = data.draw(st.integers(0, count)), data.draw(st.integers(1, 3))
    again = slice(begin, None, step)
    for of_file, of_memory in (
        (stored, whole),
        (stored.select(mask), whole.select(mask)),
        (stored.select(again), whole.select(again)),
        (stored.select(mask).select(again), whole.select(mask).select(again)),
        (stored.with_outcome(Outcome.FAILED), whole.with_outcome(Outcome.FAILED)),
    ):
        assert len(of_file) == len(of_memory)
        assert (of_file.rows == of_memory.rows).all()
        assert (of_file.stage("second").done == of_memory.stage(1).done).all()
        assert of_file.failures == of_memory.failures
        blocks = list(of_file.blocks(["due", "first.done"]))
        assert all(len(block) <= group for block in blocks)
        assert np.array_equal(np.concatenate([b.due for b in blocks] or [[]]), of_memory.due)
        reasons = [why for block in blocks for why in block.failures.values()]
        assert reasons == list(of_memory.failures.values())


def test_a_block_has_the_columns_that_were_asked_for_and_no_others(tmp_path: Path) -> None:
    records.save(some(5), tmp_path / "r.parquet", {})
    stored, _ = records.load(tmp_path / "r.parquet", in_memory_bytes=-1)
    (block,) = stored.blocks(["due"])
    assert block.due.tolist() == some(5).due.tolist()
    with pytest.raises(KeyError, match=r"first\.done"):
        _ = block.stage("first").done


def test_a_large_file_is_read_although_it_was_removed(tmp_path: Path) -> None:
    records.save(some(5), tmp_path / "r.parquet", {})
    stored, _ = records.load(tmp_path / "r.parquet", in_memory_bytes=-1)
    (tmp_path / "r.parquet").unlink()
    assert (stored.rows == some(5).rows).all()
    with pytest.raises(ValueError, match="read-only"):
        stored.rows[0] = 1
