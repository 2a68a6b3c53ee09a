"""The layout of a row: named columns, and the facts about stages and load."""

from __future__ import annotations

from harness import records
from harness.records import ENDED, Layout, Outcome, Phase

LAYOUT = Layout.tandem(["first", "second"], batching=["second"], parts={"first": ["decode", "resize"]}, load="closed")


def test_named_columns_are_where_the_layout_says() -> None:
    for field in records.REQUEST_FIELDS:
        assert getattr(records, field.upper()) == LAYOUT.columns[field]
    for name in LAYOUT.names:
        for field in records.STAGE_FIELDS:
            assert LAYOUT.base(name) + getattr(records, field.upper()) == LAYOUT.columns[f"{name}.{field}"]
    assert LAYOUT.base(0) == records.FIRST_STAGE
    assert LAYOUT.columns["first.part_decode"] == LAYOUT.base("first") + records.PARTS
    assert sorted(LAYOUT.columns.values()) == list(range(LAYOUT.width))


def test_stages_in_a_row_know_the_one_before_them() -> None:
    assert [stage.upstream for stage in Layout.tandem("abc").stages] == [(), ("a",), ("b",)]
    assert LAYOUT.stage(-1) == LAYOUT.stage("second")
    assert LAYOUT.batching == {"second"}


def test_phases_and_outcomes_are_plain_integers() -> None:
    """Compared with an array, an IntEnum makes NumPy look up attributes of it and drop what a signal handler raises
    meanwhile."""
    constants = [value for kind in (Phase, Outcome) for name, value in vars(kind).items() if name.isupper()]
    assert len(constants) == 8
    assert all(type(value) is int for value in constants)
    assert set(ENDED) == {value for name, value in vars(Outcome).items() if name.isupper() and name != "PENDING"}
