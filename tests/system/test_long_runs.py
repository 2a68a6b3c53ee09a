"""Runs of more requests than lie in memory: what is recorded is what a ring that holds them all would have."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import harness
from harness import store
from harness.executors.base import Execution
from harness.executors.progress import Progress
from harness.executors.recorder import TEMPORARY, Destination
from harness.executors.session import execute
from harness.plan import Plan, resolve
from harness.records import STAMPS, Outcome, Phase, RecordsWriter
from harness.records.growing import GrowingFile
from harness.stages.null import NullStage
from harness.studies.run.measure import measure
from tests.pipelines import plan
from tests.system.test_both_executors import SILENT

both = pytest.mark.parametrize("executor", ("process", "asyncio"))
mostly_asyncio = pytest.mark.parametrize("executor", (pytest.param("process", marks=pytest.mark.slow), "asyncio"))
SMALL = {"null": {"capacity": 4}}
BATCHES = {"null": {"capacity": 4, "batch": {"max": 3, "timeout": "0 ms"}}}


def small_ring(*stages: dict[str, Any], executor: str, **load: Any) -> Plan:
    planned = replace(plan(*stages, load=load, executor=executor), memory_rows=256)
    assert planned.ring_rows == 256 < planned.max_rows
    return planned


def good(execution: Execution) -> Execution:
    assert execution.error is None, execution.error.details or str(execution.error)
    return execution


@both
def test_an_open_load_through_a_small_ring(executor: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With batches, and failures in both of its stages: each has its reason."""
    for name in ("process", "process_batch"):
        monkeypatch.setattr(NullStage, name, getattr(NullStage, name))  # put back afterwards
    exec(textwrap.dedent(SILENT), {"__name__": "silent"})  # for threads; worker processes read the file
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(SILENT))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(harness.__file__).parent.parent}")
    planned = small_ring(BATCHES, SMALL, executor=executor, arrivals="poisson", rate="2000/s", requests=900, warmup=50)
    seen: list[tuple[int, int]] = []

    def observe(progress: Progress) -> None:
        assert len(progress.rows) <= planned.ring_rows
        assert progress.first + len(progress.rows) == progress.issued
        seen.append((progress.first, progress.issued))

    records = good(execute(planned, observe)).records
    due, expected = records.due, planned.due_times(2000.0)
    assert (due - due[0]).tolist() == (expected - expected[0]).tolist()
    assert records.column("phase").tolist() == [Phase.WARMUP] * 50 + [Phase.MEASURED] * 900
    rows, batches = np.arange(950), records.stage(0).batch
    in_a_batch = np.isin(batches, batches[rows % 5 == 0])
    alone = ~in_a_batch & (rows % 7 == 0)
    assert (records.outcome == np.where(in_a_batch | alone, Outcome.FAILED, Outcome.COMPLETED)).all()
    assert records.failures == dict.fromkeys(np.flatnonzero(in_a_batch | alone).tolist(), "Silent")
    assert records.stage(1).batch[~in_a_batch].tolist() == rows[~in_a_batch].tolist()
    assert all(later_first <= issued for (_, issued), (later_first, _) in pairwise(seen))


@mostly_asyncio
@pytest.mark.parametrize("load", [{"arrivals": "closed", "concurrency": 3}, {"arrivals": "constant", "rate": "1e6/s"}])
def test_a_closed_load_and_one_that_sheds_through_a_small_ring(executor: str, load: dict[str, Any]) -> None:
    closed = load["arrivals"] == "closed"
    scenario = plan(SMALL, SMALL, load={**load, "requests": 1500}, executor=executor).scenario
    scenario = scenario.model_copy(update={"on_full": "block" if closed else "shed"})
    records = good(execute(replace(resolve(scenario), memory_rows=256))).records
    assert len(records) == 1500
    assert (records.stage(0).offered > 0).all()
    completed = records.outcome == Outcome.COMPLETED
    assert (completed | (records.outcome == Outcome.DROPPED)).all()
    assert completed.all() if closed else 0 < completed.sum() < 1500
    done = records.select(completed)
    assert done.stage(1).batch.tolist() == np.flatnonzero(completed).tolist()
    for name in STAMPS:
        assert (getattr(done.stage(1), name) > 0).all()
    if closed:  # from the fourth on, each is due when another one is done
        assert np.isin(records.due[3:], records.completed).all()


def test_a_worker_killed_in_the_middle_costs_nothing_that_was_issued() -> None:
    takes_time = {"delay": {"mean": "200 us", "capacity": 4}}
    planned = small_ring(SMALL, takes_time, executor="process", arrivals="closed", concurrency=3, requests=10**6)

    def kill(progress: Progress) -> None:
        if progress.issued > 600 and (workers := psutil.Process().children()):
            workers[-1].kill()

    execution = execute(planned, kill, 0.01)
    assert execution.status == "failed"
    assert "SIGKILL" in str(execution.error)
    records = execution.records
    assert len(records) > 600
    lost = records.outcome == Outcome.ABORTED
    assert ((records.outcome == Outcome.COMPLETED) | lost).all()
    assert 0 < lost.sum() <= 3
    assert records.stage(0).batch[~lost].tolist() == np.flatnonzero(~lost).tolist()


@mostly_asyncio
def test_a_producer_that_waits_for_the_disk_is_counted(executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    append = RecordsWriter.append

    def slow(self: RecordsWriter, rows: Any, failures: Any = None) -> None:
        if self.rows_written < 200:
            time.sleep(0.1)
        append(self, rows, failures)

    monkeypatch.setattr(RecordsWriter, "append", slow)
    planned = small_ring(SMALL, executor=executor, arrivals="constant", rate="5000/s", requests=1200)
    execution = good(execute(planned))
    assert execution.waits >= 1
    assert execution.waited_ns > 50e6
    late = (execution.records.issued - execution.records.due).max()
    assert late > 50e6, "requests were late by it"
    assert (execution.records.outcome == Outcome.COMPLETED).all()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_with_all_of_it_saved(small_disk: Path) -> None:
    planned = plan(SMALL, SMALL, load={"arrivals": "closed", "concurrency": 3, "requests": 10**6})
    where = small_disk / "records"
    (small_disk / "ballast").write_bytes(bytes(3 << 20))
    destination = Destination(lambda: GrowingFile(where, 2 << 20), TEMPORARY.free)
    execution = execute(planned, destination=destination)
    assert execution.error is not None
    assert "do not fit on the disk: No space left" in execution.error.what
    assert execution.error.where == str(where)
    records = execution.records
    assert len(records) > 65_536
    assert np.isin(records.outcome, (Outcome.COMPLETED, Outcome.ABORTED)).all()
    assert np.count_nonzero(records.outcome == Outcome.ABORTED) <= 3


def test_a_run_that_will_not_fit_on_the_disk_is_refused_before_it_starts(small_disk: Path) -> None:
    planned = plan(SMALL, load={"arrivals": "closed", "requests": 10**6})
    done = measure(planned, "", small_disk)
    assert done.error is not None
    assert "1,000,000 requests take some 0.0 GiB, and 0.0 GiB are free in" in str(done.error)
    assert not len(done.execution.records)


SCENARIO = """
name: long
load: {arrivals: closed, concurrency: 16, requests: 50000000, warmup: 10}
stages: [{null: {name: first}}, {null: {name: second}}]
"""


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`harness run` of it, some of whose records have been written."""
    (tmp_path / "long.yaml").write_text(SCENARIO)
    command = [sys.executable, "-m", "harness", "run", "long.yaml", "--out", "out", "--quiet"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until = time.monotonic() + 30
        while not any(file.stat().st_size > 10**6 for file in tmp_path.glob(f"out/long/.unfinished-*/{store.RECORDS}")):
            assert time.monotonic() < until and process.poll() is None, "nothing is written"
            time.sleep(0.02)
        yield process
        process.kill()


@pytest.mark.slow
def test_an_interrupted_long_run_is_saved_whole_and_nothing_is_left(
    tmp_path: Path, long_run: subprocess.Popen[str]
) -> None:
    long_run.send_signal(signal.SIGINT)
    _, said = long_run.communicate(timeout=60)
    assert long_run.returncode == 130, said
    (saved,) = store.list_runs(tmp_path / "out")
    records = saved.records
    lost = records.outcome == Outcome.ABORTED
    assert ((records.outcome == Outcome.COMPLETED) | lost).all()
    assert lost.sum() <= 16
    assert len(records) > 30_000
    assert [path.name for path in (tmp_path / "out" / "long").iterdir()] == [saved.path.name]
    assert {path.name for path in tmp_path.iterdir()} == {"long.yaml", "out"}


@pytest.mark.slow
def test_of_a_long_run_whose_process_is_killed_an_unfinished_folder_is_left_and_nothing_else(
    tmp_path: Path, long_run: subprocess.Popen[str]
) -> None:
    children = psutil.Process(long_run.pid).children()
    long_run.kill()
    long_run.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert list(store.list_runs(tmp_path / "out")) == []
    assert len(store.unfinished(tmp_path / "out")) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"long.yaml", "out"}
