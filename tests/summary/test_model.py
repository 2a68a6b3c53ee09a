"""The typed summary holds all that `summary.json` holds, under the same keys and in the same order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.store import to_json
from harness.summary import SUMMARY

SAVED = Path(__file__).parents[1] / "saved"
SUMMARIES = sorted(SAVED.rglob("summary.json"))


@pytest.mark.parametrize("file", SUMMARIES, ids=lambda file: str(file.parent.relative_to(SAVED)))
def test_a_summary_of_an_older_version_is_written_again_as_it_was(file):
    assert to_json(SUMMARY.read(file).as_json()) + "\n" == file.read_text()


def test_there_are_summaries_of_an_open_a_closed_and_a_shedding_load():
    assert {"tiny", "closed", "shed"} <= {file.parent.parent.name for file in SUMMARIES}


def test_attributes_are_what_stands_under_their_keys():
    file = SUMMARIES[0]
    summary, raw = SUMMARY.read(file), json.loads(file.read_text())
    name = next(iter(summary.stages))
    assert summary.e2e.p99 == summary.e2e["p99"] == raw["e2e_ms"]["p99"]
    assert summary.e2e.p99_interval == tuple(raw["e2e_ms"]["p99_ci"])
    assert summary.stages[name].queue_wait.p50 == raw["stages"][name]["queue_wait_ms"]["p50"]
    assert summary.findings == tuple(raw["reading"])


def test_keys_that_are_not_known_are_kept():
    document = {**json.loads(SUMMARIES[0].read_text()), "later": {"x": 1}}
    assert SUMMARY.parse(document, "").as_json()["later"] == {"x": 1}


def test_what_is_no_number_is_null():
    document = json.loads(SUMMARIES[0].read_text())
    assert SUMMARY.parse({**document, "throughput_rps": float("inf")}, "").throughput_rps is None


def test_a_figure_that_is_text_is_refused_with_its_key_path():
    document = json.loads(SUMMARIES[0].read_text())
    document["e2e_ms"]["p99"] = "12"
    with pytest.raises(UsageError, match=r"e2e_ms\.p99: expected a number, got '12'"):
        SUMMARY.parse(document, "summary.json")


def test_every_key_has_a_description():
    schema = SUMMARY.schema()
    models = [schema, *schema["$defs"].values()]
    fields = [(m["title"], key, field) for m in models for key, field in m["properties"].items()]
    bare = [(title, key) for title, key, field in fields if not {"description", "$ref"} & set(field)]
    assert bare == []
