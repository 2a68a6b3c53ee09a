"""What the session promises of a load: it lasts its time, or says why not, and starts when it says."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from harness.clock import now_ns
from harness.errors import RunFailed
from harness.executors.progress import Progress
from harness.executors.session import execute
from harness.records import Outcome, Phase
from tests.pipelines import plan, run

both = pytest.mark.parametrize("executor", ("process", "asyncio"))
NULL = {"null": {}}
EXECUTORS = {
    "process": "harness.executors.process.executor.ProcessExecutor",
    "asyncio": "harness.executors.asyncio.executor.AsyncioExecutor",
}


@both
def test_a_closed_load_lasts_its_duration_however_fast_the_pipeline_is(executor: str) -> None:
    records = run(
        NULL, load={"arrivals": "closed", "concurrency": 16, "duration": "250 ms", "warmup": 9}, executor=executor
    ).records
    assert np.ptp(records.of_phase(Phase.MEASURED).due) > 0.95 * 250e6


@both
def test_little_memory_does_not_cut_a_closed_load_short(executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.executors.pipeline.usable_bytes", lambda: 10**6)
    load = {"arrivals": "closed", "concurrency": 16, "duration": "500 ms", "warmup": 9}
    execution = execute(plan(NULL, load=load, executor=executor))
    assert execution.error is None
    records = execution.records
    assert len(records) > 2 * execution.plan.ring_rows
    assert (records.outcome == Outcome.COMPLETED).all()
    assert records.stage(0).batch.tolist() == list(range(len(records)))
    assert np.ptp(records.of_phase(Phase.MEASURED).due) > 0.95 * 500e6


@both
def test_a_closed_load_that_would_be_too_many_requests_fails_and_keeps_its_records(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.plan.MOST_REQUESTS", 1000)
    load = {"arrivals": "closed", "concurrency": 16, "duration": "60 s", "warmup": 9}
    execution = execute(plan(NULL, load=load, executor=executor))
    assert execution.status == "failed"
    assert execution.error is not None and execution.error.where == "load.duration"
    assert "1,000 measured requests at most" in execution.error.what
    assert execution.error.hint.startswith("Shorten it")
    assert (execution.records.outcome == Outcome.COMPLETED).all()
    assert len(execution.records) == 1009


@both
def test_no_request_of_a_long_schedule_is_due_before_it_is_issued(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing 1.5 million due times takes longer than the lead that the producer gets, so that comes afterwards."""
    module, _, name = EXECUTORS[executor].rpartition(".")
    made, sent = getattr(importlib.import_module(module), name), []
    issue = made.issue

    def noted(self, command) -> None:  # type: ignore[no-untyped-def]
        issue(self, command)
        sent.append(now_ns())

    def enough(progress: Progress) -> None:
        if progress.ended:
            raise RunFailed("seen enough")

    monkeypatch.setattr(made, "issue", noted)
    load = {"arrivals": "constant", "rate": "1000/s", "requests": 1_500_000}
    execution = execute(plan(NULL, load=load, executor=executor), enough, 0.0)
    assert str(execution.error) == "seen enough"
    due = execution.records.due
    assert due[0] > sent[0]
    assert (np.diff(due) == 1_000_000).all()
    assert (execution.records.issued >= due).all()
