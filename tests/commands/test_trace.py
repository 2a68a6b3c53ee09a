"""The trace command: files, windows, and what of a long run is shown."""

from __future__ import annotations

import gzip
import json

import pytest
from click.testing import CliRunner

from harness.commands import cli
from harness.commands.trace import command
from harness.errors import SaveError, UsageError
from harness.records import Phase
from harness.scenario import dump
from harness.stats import timeline
from harness.store import save
from tests import trace_importer
from tests.pipelines import run
from tests.stored import SUMMARY


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    execution = run(
        {"delay": {"mean": "1 ms"}}, {"null": {}},
        load={"arrivals": "poisson", "rate": "500/s", "requests": 60, "warmup": 5}, executor="asyncio",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("results")
    return save(folder, "test", SUMMARY, execution.records, {"resolved.yaml": dump(execution.plan.scenario)})


def traced(saved, tmp_path, *arguments: str, name: str = "trace.json"):
    path = tmp_path / name
    done = CliRunner().invoke(cli, ["trace", str(saved.path), "-o", str(path), *arguments], catch_exceptions=False)
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return done.output, json.loads(text)


def test_a_saved_run_becomes_a_file(saved, tmp_path):
    said, document = traced(saved, tmp_path)
    assert "65 requests" in said
    assert f"{len(document['traceEvents']):,} events" in said
    assert trace_importer.load(document["traceEvents"]).problems == []
    assert document["otherData"]["run"] == saved.path.name


def test_a_name_in_gz_is_compressed_and_holds_the_same(saved, tmp_path):
    assert traced(saved, tmp_path, name="trace.json.gz")[1] == traced(saved, tmp_path)[1]


def test_a_window_holds_what_was_in_flight_then(saved, tmp_path):
    said, document = traced(saved, tmp_path, "--window", "20ms..40ms")
    records = saved.records
    origin = int(records.due.min())
    shown = timeline.in_flight(records, origin + 20_000_000, origin + 40_000_000)
    assert f"{shown.sum()} of 65 requests" in said
    assert len(trace_importer.load(document["traceEvents"]).flows) == shown.sum()


def test_a_long_run_is_cut_to_the_neighbours_of_its_slowest(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.commands.trace.MOST", 12)
    said, document = traced(saved, tmp_path, "--slowest", "2")
    found = trace_importer.load(document["traceEvents"])
    assert found.problems == []
    assert 6 <= len(found.flows) <= 12
    assert f"{len(found.flows)} of 65 requests" in said


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("1h..2h", "nothing was in flight then; the run lasted"),
        ("2s..1s", "the later one last"),
        ("2..3", "a duration with its unit"),
        ("now", "two durations"),
    ],
)
def test_a_window_that_makes_no_sense(saved, tmp_path, window, message):
    with pytest.raises(UsageError, match=message):
        command.main([str(saved.path), "-o", str(tmp_path / "t.json"), "--window", window], standalone_mode=False)
    assert not (tmp_path / "t.json").exists()


def test_a_file_that_cannot_be_written_is_an_error_with_its_name(saved, tmp_path):
    with pytest.raises(SaveError, match="cannot write the trace") as caught:
        command.main([str(saved.path), "-o", str(tmp_path / "no" / "t.json")], standalone_mode=False)
    assert caught.value.where.endswith("no/t.json")


def test_the_calibration_is_left_out(saved, tmp_path):
    records = saved.records
    records.column("phase")[:5] = Phase.SATURATION
    texts = {"resolved.yaml": (saved.path / "resolved.yaml").read_text()}
    other = save(tmp_path, "test", SUMMARY, records, texts)
    said, document = traced(other, tmp_path)
    assert "60 requests" in said
    names = {event["name"] for event in document["traceEvents"] if event.get("cat") == "issue"}
    assert names == {f"issue request {number}" for number in range(60)}
