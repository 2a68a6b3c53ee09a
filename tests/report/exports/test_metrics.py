"""The table of runs: one row a run, from its summary alone, and nothing else in the file changes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness import summary
from harness.commands import cli
from harness.errors import SaveError, UsageError
from harness.report.exports import metrics
from tests.stored import DOCUMENT, NOTHING, SUMMARY, save

FIGURES = {**NOTHING, "p50": 1.25, "p99": 123.4, "p99_ci": [None, None]}
FULL = summary.SUMMARY.parse({
    **DOCUMENT,
    "throughput_rps": 39.876,
    "e2e_ms": FIGURES,
    "effective": {"inference-0": {"device": "cuda:0"}},
    "memory": {"peak_rss_mb": {"harness": 720.0, "preprocess-0": 120.0, "inference-0": 512.3}},
    "stages": {
        name: {"workers": 1, "capacity": 1, "utilisation": None, "batch_size": {"mean": 1, "max": 1}, "parts": {},
               **dict.fromkeys(("queue_wait_ms", "batch_wait_ms", "blocked_ms", "service_ms"), FIGURES)}
        for name in ("preprocess", "inference")
    },
    "system": {"during_run": {}, "cpu": "A | B CPU", "cores": 2.0, "python": "3.11.9",
               "libraries": {"torch": "2.5.0"}, "git": {"commit": "0123456789abcdef", "dirty": True}},
}, "summary.json")  # fmt: skip


def cells(table: str) -> list[dict[str, str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_a_row_says_what_the_summary_says():
    assert metrics.row("20260101T000000-abcdef", FULL) == {
        "run": "20260101T000000-abcdef",
        "scenario": "x, asyncio",
        "platform": "A / B CPU, 2 cores",
        "Python": "3.11.9",
        "torch": "2.5.0",
        "device": "cuda:0",
        "e2e p50 / p99 ms": "1.25 / 123",
        "preprocess p50 / p99 ms": "1.25 / 123",
        "inference p50 / p99 ms": "1.25 / 123",
        "postprocess p50 / p99 ms": "-",
        "throughput /s": "39.88",
        "peak RSS MB": "512",
        "validity": "ok",
        "commit": "01234567+",
    }


def test_a_run_without_figures_has_a_row():
    row = metrics.row("r", SUMMARY)
    assert [column for column, cell in row.items() if cell != "-"] == ["run", "scenario", "device", "validity"]


def test_updating_again_changes_nothing(tmp_path):
    file = tmp_path / "metrics.md"
    rows = [metrics.row(name, FULL) for name in ("b", "a")]
    assert metrics.update(file, rows) == 2
    once = file.read_text()
    assert metrics.update(file, rows[:1]) == 2
    assert file.read_text() == once
    assert [row["run"] for row in cells(once)] == ["a", "b"]


def test_a_run_has_one_row_the_newest(tmp_path):
    file = tmp_path / "metrics.md"
    metrics.update(file, [metrics.row("a", FULL), metrics.row("b", FULL)])
    metrics.update(file, [metrics.row("a", FULL.model_copy(update={"name": "renamed"}))])
    found = [(row["run"], row["scenario"]) for row in cells(file.read_text())]
    assert found == [("a", "renamed, asyncio"), ("b", "x, asyncio")]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=80)


@given(TEXT, TEXT)
def test_other_text_stays_to_the_letter(tmp_path_factory, before, after):
    file = tmp_path_factory.mktemp("m") / "metrics.md"
    file.write_text(f"{before}{metrics.BEGIN}{metrics.END}{after}", encoding="utf-8")
    metrics.update(file, [metrics.row("a", FULL)])
    text = file.read_text(encoding="utf-8")
    assert text.startswith(before + metrics.BEGIN)
    assert text.endswith(metrics.END + after)


def test_a_file_without_a_table_gets_one_at_its_end(tmp_path):
    file = tmp_path / "notes.md"
    file.write_text("# Notes\n\nKept.\n")
    metrics.update(file, [metrics.row("a", FULL)])
    assert file.read_text().startswith(f"# Notes\n\nKept.\n\n{metrics.BEGIN}\n| run |")


def test_a_table_of_an_earlier_version_keeps_its_columns(tmp_path):
    file = tmp_path / "metrics.md"
    file.write_text(f"{metrics.BEGIN}\n| run | kernel |\n|---|---|\n| old | 5.15 |\n{metrics.END}\n")
    metrics.update(file, [metrics.row("new", FULL)])
    new, old = cells(file.read_text())
    assert (old["kernel"], old["scenario"]) == ("5.15", "-")
    assert (new["kernel"], new["scenario"]) == ("-", "x, asyncio")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (metrics.BEGIN, "not a pair"),
        (f"{metrics.END} {metrics.BEGIN}", "not a pair"),
        (f"{metrics.BEGIN}\nsomebody's text\n{metrics.END}", "no table of runs"),
        (f"{metrics.BEGIN}\n| run | a |\n|---|---|\n| r |\n{metrics.END}", "no table of runs"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(tmp_path, text, message):
    file = tmp_path / "metrics.md"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        metrics.update(file, [metrics.row("a", FULL)])
    assert file.read_text() == text


def test_a_file_that_cannot_be_written_is_an_error_with_its_name(tmp_path):
    with pytest.raises(SaveError) as caught:
        metrics.update(tmp_path / "no" / "metrics.md", [metrics.row("a", FULL)])
    assert caught.value.where.endswith("no/metrics.md")


def test_the_command_prints_or_updates(tmp_path):
    runs = [save(tmp_path / "results", name).path for name in ("one", "two")]
    printed = CliRunner().invoke(cli, ["metrics", *map(str, runs)], catch_exceptions=False)
    assert {row["run"] for row in cells(printed.output)} == {run.name for run in runs}
    file = tmp_path / "metrics.md"
    for _ in range(2):
        said = CliRunner().invoke(cli, ["metrics", *map(str, runs), "--update", str(file)], catch_exceptions=False)
        assert said.output == f"{file}: 2 runs, 2 of them written now\n"
    assert cells(file.read_text()) == cells(printed.output)


def test_one_bad_run_leaves_the_file_alone(tmp_path):
    good, bad = save(tmp_path / "results", "one").path, save(tmp_path / "results", "two").path
    (bad / "summary.json").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(UsageError):
        cli.main(["metrics", str(good), str(bad), "--update", str(tmp_path / "m.md")], standalone_mode=False)
    assert not (tmp_path / "m.md").exists()
