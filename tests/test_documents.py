"""A saved document is read whatever version wrote it, or refused with its file, the key path and what was expected."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from harness.documents import Document, Kind, Number, key
from harness.errors import BAD_USAGE, UsageError


class Inner(Document):
    count: int


class Thing(Document):
    schema_version: int
    rate: Annotated[Number, key("rate_rps")]
    inner: dict[str, Inner] = {}  # noqa: RUF012
    later: str | None = None


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    rate = document.pop("speed")
    return {**document, "rate": rate}


def with_unit(document: dict[str, Any]) -> dict[str, Any]:
    rate = document.pop("rate")
    return {**document, "rate_rps": rate / 60}


FIRST = Kind("a saved thing", Thing)
THIRD = Kind("a saved thing", Thing, steps=(renamed, with_unit))


def write(folder, document):
    file = folder / "thing.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


def test_a_document_is_read_as_its_model_and_written_under_its_keys(tmp_path):
    raw = {"schema_version": 1, "rate_rps": 2.5, "inner": {"a": {"count": 1}}, "later": "x"}
    found = FIRST.read(write(tmp_path, raw))
    assert (found.rate, found.inner["a"].count) == (2.5, 1)
    assert found.as_json() == raw


@pytest.mark.parametrize(
    "document",
    [
        {"schema_version": 1, "speed": 120},
        {"schema_version": 2, "rate": 120},
        {"schema_version": 3, "rate_rps": 2},
    ],
)
def test_every_step_from_the_version_of_the_file_is_taken_in_order(tmp_path, document):
    found = THIRD.read(write(tmp_path, document))
    assert (found.schema_version, found.rate) == (THIRD.version, 2.0) == (3, 2.0)


def test_a_document_that_is_migrated_is_not_changed_itself():
    document = {"schema_version": 1, "speed": 120}
    THIRD.parse(document, "")
    assert document == {"schema_version": 1, "speed": 120}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "not a saved thing: Expecting value"),
        ("[1]", "not a saved thing: it is no mapping of keys"),
        ({"rate_rps": 1}, "not a saved thing: it has no schema_version"),
        ({"schema_version": True, "rate_rps": 1}, "it has no schema_version"),
        ({"schema_version": 4, "rate_rps": 1}, "a saved thing of schema_version 4, and this is known up to 3"),
        ({"schema_version": 3}, "no proper rate_rps: it is missing"),
        ({"schema_version": 3, "rate_rps": "1"}, "no proper rate_rps: expected a number, got '1'"),
        (
            {"schema_version": 3, "rate_rps": 1, "inner": {"a": {"count": 1.5}}},
            "no proper inner.a.count: expected a whole number, got 1.5",
        ),
        ({"schema_version": 3, "rate_rps": 1, "inner": {"a": 1}}, "inner.a: expected a mapping of keys, got 1"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_file_and_key_path(tmp_path, document, says):
    file = write(tmp_path, document)
    with pytest.raises(UsageError) as caught:
        THIRD.read(file)
    assert says in str(caught.value)
    assert caught.value.where == str(file)
    assert caught.value.exit_code == BAD_USAGE


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.json: not a saved thing: No such file"):
        FIRST.read(tmp_path / "absent.json")
