"""The requests of a run as a table: the same figures as the budget, with their units."""

from __future__ import annotations

import numpy as np
import pytest

from harness.records import Layout, Outcome, Phase, RunRecords
from harness.stats.budget import budget
from harness.stats.table import request_table
from tests.pipelines import run


@pytest.fixture(scope="module")
def records() -> RunRecords:
    stages = ({"delay": {"mean": "1 ms"}}, {"null": {"batch": {"max": 4, "timeout": "1 ms"}}})
    load = {"arrivals": "poisson", "rate": "300/s", "requests": 60, "warmup": 5}
    return run(*stages, load=load, executor="asyncio").records


def test_components_of_each_completed_request_add_up_to_its_latency(records: RunRecords) -> None:
    table = request_table(records).to_pydict()
    parts = [name for name in table if name.endswith("_ms") and name not in ("e2e_ms", "response_ms")]
    assert len(parts) == 2 + 2 * 4
    total_ns = np.rint(1e6 * np.array([table[name] for name in parts])).sum(axis=0)
    assert np.array_equal(total_ns, np.rint(1e6 * np.array(table["e2e_ms"])))
    assert np.array_equal(total_ns, records.completed - records.due)


def test_measured_rows_are_those_of_the_budget(records: RunRecords) -> None:
    table = request_table(records).to_pydict()
    measured = [phase == "measured" for phase in table["phase"]]
    assert measured.count(True) == 60 and table["phase"].count("warmup") == 5
    split = budget(records)
    for name, values in split.components.items():
        column = np.array(table[f"{name}_ms"])[measured]
        assert np.array_equal(column, values / 1e6), name


def test_times_count_from_when_the_first_measured_request_was_due(records: RunRecords) -> None:
    table = request_table(records)
    first = table["phase"].to_pylist().index("measured")
    assert table["due_s"][first].as_py() == 0.0
    assert all(due < 0 for due in table["due_s"].to_pylist()[:first])


def test_every_column_says_what_it_is_and_in_which_unit(records: RunRecords) -> None:
    for field in request_table(records).schema:
        metadata = field.metadata
        assert metadata[b"meaning"]
        suffix = field.name.rpartition("_")[2]
        assert metadata[b"unit"].decode() == (suffix if suffix in ("ms", "s") else "")


def test_what_never_happened_is_null() -> None:
    layout = Layout.tandem(("s",))
    rows = np.zeros((3, layout.width), np.int64)
    columns = layout.columns
    rows[:, columns["due"]] = 1_000_000_000
    rows[:, columns["phase"]] = Phase.MEASURED
    rows[:, columns["outcome"]] = Outcome.COMPLETED, Outcome.FAILED, Outcome.DROPPED
    for field in ("offered", "accepted", "taken", "started", "done"):
        rows[:2, columns[f"s.{field}"]] = 1_000_500_000
    table = request_table(RunRecords(layout, rows, {1: "not an image"})).to_pydict()
    assert table["outcome"] == ["completed", "failed", "dropped"]
    assert table["e2e_ms"] == [0.5, None, None]
    assert table["completed_s"] == [0.0005, None, None]
    assert table["issued_s"] == [0.0005, 0.0005, None]
    assert table["label"] == [0, None, None]
    assert table["failure"] == [None, "not an image", None]


def test_no_requests_make_an_empty_table_with_every_column() -> None:
    layout = Layout.tandem(("s",))
    table = request_table(RunRecords(layout, np.zeros((0, layout.width), np.int64)))
    assert table.num_rows == 0 and "s.service_ms" in table.column_names
