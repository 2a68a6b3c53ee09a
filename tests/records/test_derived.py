"""What is derived from stamps in one place: when requests were ready, and which were served together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Layout, RunRecords, StageLayout, batches, ready


def test_a_request_is_ready_when_it_has_a_slot_and_every_stage_upstream_is_done() -> None:
    layout = Layout((StageLayout("a"), StageLayout("b"), StageLayout("join", upstream=("a", "b"))))
    rows = np.zeros((4, layout.width), np.int64)
    stamps = [layout.columns[name] for name in ("join.accepted", "a.done", "b.done")]
    rows[:, stamps] = [[5, 3, 4], [5, 9, 4], [5, 0, 4], [0, 3, 4]]
    assert ready(RunRecords(layout, rows), "join").tolist() == [5, 9, 0, 0]
    assert ready(RunRecords(layout, rows), 0).tolist() == [0, 0, 0, 0]


@given(st.lists(st.integers(0, 8), max_size=30))
def test_each_request_is_in_one_batch_that_begins_with_its_first(names: list[int]) -> None:
    found = batches(np.array(names, np.int64))
    assert [names[i] for i in found.first] == sorted(set(names))
    assert [names[found.first[b]] for b in found.number] == names
    assert [names.index(names[i]) for i in found.first] == found.first.tolist()
    assert found.size.tolist() == [names.count(names[i]) for i in found.first]
