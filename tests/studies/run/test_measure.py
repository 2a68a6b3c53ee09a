"""A run is saved before anything is computed from it, and what cannot be computed does not cost it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import store
from harness.commands import cli
from harness.errors import RunFailed, SaveError
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Progress
from harness.records import Outcome
from harness.studies.run import measure as measuring
from harness.studies.run.measure import measure
from harness.studies.sweep.folder import find as find_sweep
from tests.pipelines import plan

SHORT = {"arrivals": "closed", "requests": 20}
SCENARIO = "name: x\nexecutor: asyncio\nload: {arrivals: closed, requests: 20}\nstages: [{'null': {}}]\n"


def asked() -> Any:
    return plan({"null": {}}, load=SHORT, executor="asyncio")


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A summary that raises; in the list is what was on disk by then."""
    there: list[str] = []

    def raising(*arguments: Any) -> Any:
        there.extend(sorted(path.name for path in Path.cwd().rglob(".unfinished-*/*")))
        return 1 / 0

    monkeypatch.setattr(measuring, "summarise_run", raising)
    return there


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)


def test_a_summary_that_raises_costs_neither_the_records_nor_what_tells_how_they_came_about(wrong: list[str]) -> None:
    done = measure(asked(), "as given", Path("results"))
    assert wrong == ["environment.json", "records.parquet", "resolved.yaml", "scenario.yaml"]
    assert done.saved is not None and done.summary is None
    assert isinstance(done.error, RunFailed)
    assert {path.name for path in done.saved.path.iterdir()} == {*wrong, "failure.txt"}
    assert (done.saved.records.rows == done.execution.records.rows).all()
    assert len(done.saved.records) == 20
    assert "ZeroDivisionError: division by zero" in (done.saved.path / "failure.txt").read_text()


def test_the_command_says_where_the_records_lie_and_ends_with_1(wrong: list[str]) -> None:
    done = CliRunner().invoke(cli, ["run", "x.yaml", "--json", "s.json"])
    (saved,) = store.list_runs(Path("results"))
    assert isinstance(done.exception, RunFailed) and done.exception.exit_code == 1
    said = str(done.exception)
    assert "the summary could not be computed: ZeroDivisionError: division by zero" in said
    assert f"{saved.path}: " in said and "whole" in said and "failure.txt" in said
    assert not Path("s.json").exists()


def test_a_sweep_notes_it_and_goes_on(wrong: list[str]) -> None:
    command = ["sweep", "x.yaml", "--vary", "load.requests=10,20", "--json", "a.json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    there = find_sweep("last", Path("results"))
    entries = list(there.index.entries.values())
    assert [entry.status for entry in entries] == ["failed"] * 2
    assert all("the summary could not be computed" in (entry.reason or "") for entry in entries)
    assert len(list(store.list_runs(there.runs))) == 2
    there.take_in(there.spec)  # what has no summary is no completed run
    assert json.loads(Path("a.json").read_text())["trials"]["failed"] == 2


def test_a_text_that_cannot_be_made_does_not_cost_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "resolved", lambda *arguments: 1 / 0)
    done = measure(asked(), "as given", Path("results"))
    assert done.saved is not None and done.summary is not None
    assert isinstance(done.error, RunFailed)
    names = {path.name for path in done.saved.path.iterdir()}
    assert names == {"environment.json", "records.parquet", "scenario.yaml", "summary.json", "failure.txt"}


def test_where_neither_can_be_had_both_are_told(wrong: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(Path.cwd() / "x.yaml"))
    done = measure(asked(), "", Path("x.yaml"))
    assert done.saved is None and isinstance(done.save_error, SaveError)
    assert isinstance(done.summary_error, RunFailed)
    assert len(done.execution.records) == 20


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_request_whose_last_stamps_a_killed_worker_never_wrote_has_not_completed(
    monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    """It hands a request on before it writes them. In a run that came to its end that must not be."""
    stop = OpenPipeline.stop

    async def killing(pipeline: OpenPipeline, hurry: Any) -> None:
        rows, columns = pipeline._executor.ring.rows, pipeline.plan.layout.columns  # type: ignore[union-attr]
        done = np.flatnonzero(rows[:, columns["outcome"]] == Outcome.COMPLETED)[-3:]
        for row, stamp in zip(done, ("s0.done", "s0.started", "s1.offered"), strict=True):
            rows[row, columns[stamp]] = 0
        await stop(pipeline, hurry)

    monkeypatch.setattr(OpenPipeline, "stop", killing)
    load = {"arrivals": "constant", "rate": "500/s", "requests": 100_000} if interrupted else SHORT
    both = plan({"null": {}}, {"null": {}}, load=load, executor="asyncio")

    def observe(progress: Progress) -> None:
        if interrupted and progress.ended > 20:
            signal.raise_signal(signal.SIGINT)

    done = measure(both, "", Path("results"), observe)
    assert done.summary is not None
    counts, checks = done.summary.requests, {c.name: c.level for c in done.summary.checks}
    assert counts.issued == counts.completed + counts.failed + counts.dropped
    assert 3 <= counts.aborted < 10
    assert checks["stamps"] == "ok"
    assert checks["conservation"] == ("ok" if interrupted else "invalid")


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Progress
from harness.records import Outcome
from harness.studies.run import measure as measuring
from tests.studies.run.test_measure import asked
measuring.summarise_run = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
measuring.measure(asked(), "", Path(sys.argv[1]))
"""


def test_a_kill_while_the_summary_is_computed_leaves_whole_records_that_do_not_read_as_a_run(tmp_path: Path) -> None:
    """As when the machine runs out of memory there."""
    root = Path(__file__).parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "out"], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert killed.returncode == -9
    assert list(store.list_runs(tmp_path / "out")) == []
    (left,) = store.unfinished(tmp_path / "out")
    assert len(store.SavedRun(left).records) == 20
