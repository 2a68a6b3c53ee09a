"""What both executors promise about slots and failures, where the answer is an exact count."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.records import Outcome
from harness.stages.null import NullStage
from tests.pipelines import run

both = pytest.mark.parametrize("executor", ("process", "asyncio"))

SILENT = """
    from harness.stages import RequestError
    from harness.stages.null import NullStage

    class Silent(RequestError):
        pass

    def process_batch(self, items, rows):
        if any(row % 5 == 0 for row in rows):
            raise Silent
        return [self._result] * len(items)

    def process(self, item, out, row):
        if row % 7 == 0:
            raise Silent
        return -1

    NullStage.process_batch, NullStage.process = process_batch, process
"""


@both
def test_a_stopped_sink_leaves_room_for_exactly_the_stated_capacities(executor: str) -> None:
    """Request 20 holds the second stage: behind it lie 9 more in that stage's 10 slots, and 64 in the first one's."""
    records = run(
        {"null": {"capacity": 64}},
        {
            "delay": {
                "distribution": "constant",
                "mean": "0 ms",
                "capacity": 10,
                "stall": {"request": 20, "duration": "600 ms"},
            }
        },
        load={"arrivals": "constant", "rate": "1000000/s", "requests": 200},
        executor=executor,
    ).records
    first, sink = records.stages
    assert np.count_nonzero(first.accepted < sink.done[20]) == 20 + 10 + 64


@both
def test_a_request_fails_though_its_stage_gives_no_reason(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error without text fails the batch that it was raised for: no result of an earlier batch is handed on."""
    for name in ("process", "process_batch"):
        monkeypatch.setattr(NullStage, name, getattr(NullStage, name))  # put back afterwards
    exec(textwrap.dedent(SILENT), {"__name__": "silent"})  # for threads; worker processes read the file
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(SILENT))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(harness.__file__).parent.parent}")
    records = run(
        {"null": {"batch": {"max": 3, "timeout": "0 ms"}}},
        {"null": {}},
        load={"arrivals": "closed", "concurrency": 4, "requests": 60},
        executor=executor,
    ).records
    rows, batches = np.arange(60), records.stages[0].batch
    in_a_batch = np.isin(batches, batches[rows % 5 == 0])
    alone = ~in_a_batch & (rows % 7 == 0)
    assert in_a_batch.any() and alone.any()
    assert (records.outcome == np.where(in_a_batch | alone, Outcome.FAILED, Outcome.COMPLETED)).all()
    assert (records.column("failed_stage")[alone] == 1).all()
    assert records.failures == dict.fromkeys(np.flatnonzero(in_a_batch | alone).tolist(), "Silent")
