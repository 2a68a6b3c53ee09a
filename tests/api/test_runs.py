"""Runs measured, interrupted and looked at from Python."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

import harness
from tests.interrupting import interrupted_at

TINY: dict[str, Any] = {
    "name": "tiny",
    "executor": "asyncio",
    "load": {"arrivals": "closed", "requests": 40, "warmup": 2},
    "stages": [{"null": {"name": "only"}}],
}
ENDLESS = {"load.arrivals": "constant", "load.rate": "200/s", "load.requests": 1_000_000}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> harness.Run:
    return harness.run(TINY, {"load.requests": 50}, out=tmp_path_factory.mktemp("results"))


def test_a_run_is_saved_and_what_it_says_is_what_is_saved(run: harness.Run) -> None:
    again = harness.open_run(run.path)
    assert again == run == harness.open_run("tiny", out=run.path.parents[1])
    assert run.summary == again.summary
    assert len(run.records) == 52
    assert run.scenario == harness.load_scenario(TINY, {"load.requests": 50})
    assert (run.path / "scenario.yaml").read_text().startswith("# --set load.requests=50\n")
    assert "tiny" in repr(run) and "p99" in repr(run)


def test_the_runs_under_a_folder_come_newest_first(run: harness.Run) -> None:
    out = run.path.parents[1]
    newest = harness.run(TINY, out=out)
    assert harness.runs(out=out)[0] == newest == harness.open_run(out=out)
    assert harness.open_run("last~1", out=out) == run
    assert repr(harness.runs(out=out)).splitlines()[0] == repr(newest)
    assert repr(harness.runs(out=out / "nothing")) == "no runs"


def test_the_table_has_a_row_for_each_request(run: harness.Run) -> None:
    table = run.to_arrow()
    assert table.num_rows == 52
    frame = run.to_pandas()
    assert list(frame.columns) == table.column_names
    measured = frame[frame.phase == "measured"]
    assert measured.e2e_ms.quantile(0.99, "higher") == pytest.approx(run.summary.e2e.p99)


def test_the_report_is_a_file(run: harness.Run, tmp_path: Path) -> None:
    assert run.report(tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert run.report() == run.path / "report.html"


def test_a_scenario_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(harness.ScenarioError):
        harness.run(TINY, {"load.requests": 0}, out=tmp_path)
    with pytest.raises(harness.ScenarioError, match=r"load\.file"):
        harness.run(TINY, {"load.arrivals": "trace", "load.file": tmp_path / "nothing"}, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_says_where_it_is_saved(tmp_path: Path) -> None:
    slow = {"stages": [{"delay": {"mean": "10 s"}}], "deadlines": {"progress": "50 ms"}}
    with pytest.raises(harness.StalledError) as raised:
        harness.run({**TINY, **slow}, out=tmp_path)
    assert harness.open_run(raised.value.saved).summary.status == "failed"


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_an_interrupted_run_is_saved_and_raises(tmp_path: Path, in_a_loop: bool) -> None:
    async def cell() -> None:
        harness.run(TINY, ENDLESS, out=tmp_path, progress=True)

    with pytest.raises(harness.Interrupted) as raised, interrupted_at("running: "):
        asyncio.run(cell()) if in_a_loop else harness.run(TINY, ENDLESS, out=tmp_path, progress=True)
    run = raised.value.result
    assert isinstance(raised.value, KeyboardInterrupt) and raised.value.signal == signal.SIGINT
    assert run == harness.open_run(out=tmp_path)
    assert run.summary.status == "interrupted"
    assert 0 < len(run.records) < 1000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_ends_the_process_ends_it_when_the_run_is_saved(tmp_path: Path) -> None:
    saved: list[harness.Run] = []
    before = signal.signal(signal.SIGTERM, lambda *_: saved.append(harness.open_run(out=tmp_path)))
    try:
        with pytest.raises(harness.Interrupted, match="SIGTERM"), interrupted_at("running: ", signal.SIGTERM):
            harness.run(TINY, ENDLESS, out=tmp_path, progress=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [run.summary.status for run in saved] == ["interrupted"]
