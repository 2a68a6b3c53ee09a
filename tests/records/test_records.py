"""RunRecords: columns and selections of rows."""

from __future__ import annotations

from harness import records
from harness.records import Outcome
from tests.records.test_file import some


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


def test_the_columns_of_a_stage_can_be_asked_for_by_name() -> None:
    first = some(1).layout.stage("first")
    assert records.stage_columns(first, "taken", "done") == ("first.taken", "first.done")
    assert records.stage_columns(first)[-2:] == ("first.part_decode", "first.part_resize")
