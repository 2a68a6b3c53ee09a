"""The list of runs: one line a run, and what cannot be read in its place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import UsageError
from harness.report.screens import runs
from harness.summary import SUMMARY
from tests.facts import changed

SAVED = next(Path(__file__).parents[2].glob("saved/0.1.0/tiny/*/summary.json"))
FIGURES = {
    "name": "resnet18_cpu", "started_at": "2026-01-01T10:20:30+00:00", "status": "interrupted",
    "throughput_rps": 1234.4, "validity": "invalid",
}  # fmt: skip


def change(summary):
    summary |= FIGURES
    summary["requests"]["completed"] = 12345
    summary["e2e_ms"] |= {"p50": 1234.4, "p99": 12345.0, "p99_ci": [12000.0, 13000.0]}


@pytest.mark.parametrize(
    ("width", "more"), [(80, []), (110, ["1,234/s", "12,000 … 13,000"]), (140, ["20260101T102030-abcde0"])]
)
def test_the_list_of_runs_has_one_line_a_run_and_more_columns_where_there_is_room(width, more):
    summary = changed(SUMMARY.read(SAVED), change)
    out = io.StringIO()
    rows = [(Path(f"results/resnet18_cpu/20260101T102030-abcde{i}"), summary) for i in range(3)]
    runs.show(Console(file=out, width=width, highlight=False), rows, "results")
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["run", "last", "last~1", "last~2"]
    for shown in ("resnet18_cpu", "2026-01-01 10:20", "12,345", "1,234", "✗ interrupted", *more):
        assert shown in lines[1]


def test_a_run_that_cannot_be_read_keeps_its_place():
    out = io.StringIO()
    rows = [(Path("results/broken/20260101T102030-abcde0"), UsageError("no summary")), (Path("x"), SUMMARY.read(SAVED))]
    runs.show(Console(file=out, width=100, highlight=False), rows, "results")
    _, broken, whole = out.getvalue().splitlines()
    assert broken.split()[:2] == ["last", "broken"] and "unreadable" in broken
    assert whole.split()[0] == "last~1"
