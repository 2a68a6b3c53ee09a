"""Requests in flight, counted without the stamps, find stamps that are not true, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.executors.base import Execution
from harness.records import Layout, Outcome, Phase, RunRecords
from harness.stats import checks
from harness.stats.little import in_flight
from harness.stats.summary import summarise_run
from harness.summary import Check, InFlight
from tests.facts import facts
from tests.pipelines import run

MS = 1_000_000
LAYOUT = Layout.tandem(["s0"])
STAMPS = [LAYOUT.columns[name] for name in ("s0.offered", "s0.accepted", "s0.done")]
ENDS = (Outcome.COMPLETED, Outcome.FAILED, Outcome.DROPPED, Outcome.ABORTED)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 300), st.sampled_from(ENDS)), min_size=1, max_size=40),
    st.lists(st.integers(0, 1500), min_size=1, max_size=60),
)
def test_true_stamps_agree_with_the_count_to_the_last_request(requests, moments):
    """A dropped one was never in flight; one that never ended still is; the calibration does not count."""
    rows = np.zeros((len(requests) + 1, LAYOUT.width), np.int64)
    for row, (entered, stayed, outcome) in zip(rows[1:], requests, strict=True):
        dropped = outcome == Outcome.DROPPED
        row[STAMPS] = entered, 0 if dropped else entered, 0 if dropped else entered + stayed
        row[LAYOUT.columns["outcome"]] = outcome
    rows[0, STAMPS] = 1, 1, 2000
    rows[0, LAYOUT.columns["phase"]] = Phase.SATURATION
    at = np.sort(np.array(moments, np.int64))
    spans = [
        (entered, 10**9 if outcome == Outcome.ABORTED else entered + stayed)
        for entered, stayed, outcome in requests
        if outcome != Outcome.DROPPED
    ]
    counts = np.array([sum(begin <= t < end for begin, end in spans) for t in at.tolist()])
    found = in_flight(at, counts, RunRecords(LAYOUT, rows, {}))
    if spans:
        assert found is not None
        assert found.by_stamps == found.counted
        assert found.apart_s == 0
    else:
        assert found is None


STAGE = {"delay": {"mean": "60 ms", "distribution": "constant", "workers": 2}}
LOAD = {"arrivals": "closed", "concurrency": 2, "requests": 20, "warmup": 2}


@pytest.fixture(scope="module", params=["process", "asyncio"])
def honest(request) -> Execution:
    """Two requests of 60 ms each are in flight for some 0.6 s."""
    return run(STAGE, load=LOAD, executor=request.param)


def verdict(execution: Execution) -> Check:
    counted = in_flight(*execution.counted, execution.records)
    known = facts(execution.plan, in_flight=counted)
    summary = summarise_run(execution.plan, execution.records, known)
    return next(c for c in summary.checks if c.name == "little's law")


def with_stamps(execution: Execution, name: str, shift_ns: int) -> Execution:
    """The same run, with one stamp of every request moved."""
    rows = execution.records.rows.copy()
    rows[:, execution.records.layout.columns[name]] += shift_ns
    return replace(execution, records=RunRecords(execution.records.layout, rows, {}))


def test_an_honest_run_holds(honest):
    found = verdict(honest)
    assert found.level == "ok"
    counted = in_flight(*honest.counted, honest.records)
    assert counted.moments >= checks.FEWEST_MOMENTS
    assert 1.5 < counted.counted <= 2


@pytest.mark.parametrize("shift_ms", [-30, 30])
def test_a_run_whose_requests_end_half_a_service_off_by_the_stamps_is_caught(honest, shift_ms):
    """30 of 60 ms, in either direction; the old check compared two sums of the same stamps and could not see it."""
    found = verdict(with_stamps(honest, "s0.done", shift_ms * MS))
    assert found.level == "warning"
    assert ("less" if shift_ms < 0 else "more") in found.message


def test_a_run_that_was_hardly_looked_at_claims_nothing():
    assert checks.little(None).message == "too short a run to count requests in flight"
    assert checks.little(InFlight(checks.FEWEST_MOMENTS - 1, 5.0, 1.0, 10.0)).level == "ok"
    assert checks.little(InFlight(checks.FEWEST_MOMENTS, 5.0, 1.0, 10.0)).level == "warning"


def test_a_hand_over_s_worth_of_difference_is_none():
    """Between a stamp and what is counted a process may be held up: some ms a request, whatever their service."""
    quick = InFlight(1000, counted=0.4, by_stamps=0.25, rate_rps=100.0)
    assert quick.apart_s == pytest.approx(-0.0015)
    assert checks.little(quick).level == "ok"
    assert checks.little(replace(quick, counted=1.0)).level == "warning"
