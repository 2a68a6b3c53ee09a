"""How a search ends: with failures, interrupted, at its time limit."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StageFailed
from harness.plan import Plan
from harness.studies.capacity import RunResult, find
from harness.studies.capacity.result import conclude
from harness.studies.capacity.runs import load_overrides
from tests.studies.capacity.searching import (
    delay,
    goal,
    last,
    mm1_rate,
    twin,
    variants,
)


def test_a_variant_that_fails_is_recorded_and_the_others_go_on() -> None:
    def failing(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned, settings)
        if "stages.server.workers=2" in settings:
            return RunResult(ran.records, ran.summary, "", StageFailed("worker died", where="server"))
        return ran

    result = conclude(
        last(variants(delay(), vary=["stages.server.workers=1,2"]), goal("p99=100ms", within=0.1), failing)
    )
    assert [variant.verdict for variant in result.variants] == ["best", "failed"]
    assert result.variants[1].failed == "worker died"
    assert result.highest is not None
    assert result.highest.rate_rps == pytest.approx(mm1_rate(0.1), rel=0.1)


def test_a_search_whose_every_variant_fails_ends_with_the_error(tmp_path: Path) -> None:
    def failing(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned)
        return RunResult(ran.records, ran.summary, "", StageFailed("worker died", where="server"))

    finding = find(variants(delay()), goal("p99=100ms"), failing, tmp_path, lambda state, step: None)
    assert isinstance(finding.error, StageFailed)
    assert finding.result.status == "failed"


@pytest.mark.parametrize("calls", [1, 3])
def test_a_search_that_is_interrupted_keeps_what_it_found(tmp_path: Path, calls: int) -> None:
    seen = []

    def interrupted(planned: Plan, settings: Sequence[str]) -> RunResult:
        seen.append(settings)
        ran = twin(planned)
        return RunResult(ran.records, ran.summary, "", signal=signal.SIGINT if len(seen) == calls else 0)

    finding = find(variants(delay()), goal("p99=100ms"), interrupted, tmp_path, lambda state, step: None)
    saved = json.loads(Path(str(finding.result.saved)).read_text())
    assert finding.state.signal == signal.SIGINT
    assert saved["status"] == "interrupted"
    assert len(saved["configurations"][0]["runs"]) == calls - 1


def test_ctrl_c_between_two_runs_does_the_same(tmp_path: Path) -> None:
    seen = []

    def interrupted(planned: Plan, settings: Sequence[str]) -> RunResult:
        seen.append(settings)
        if len(seen) == 4:
            signal.raise_signal(signal.SIGINT)
        return twin(planned)

    finding = find(variants(delay()), goal("p99=100ms"), interrupted, tmp_path, lambda state, step: None)
    assert finding.state.status == "interrupted"
    assert json.loads(Path(str(finding.result.saved)).read_text())["answer"]["rate_rps"] > 0


def test_at_the_time_limit_the_interval_so_far_is_the_result() -> None:
    """A clock that goes by what each run would take: the limit ends the search before the interval is narrow enough."""
    now = [0.0]

    def timed(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned)
        now[0] += float(np.ptp(ran.records.due)) / 1e9 + 2.0
        return ran

    asked = goal("p99=100ms", within=0.005, time_limit_s=90.0)
    state = last(variants(delay()), asked, timed, clock=lambda: now[0])
    result = conclude(state, outlook=False)
    assert state.status == "budget spent"
    assert 60 < state.elapsed_s < 100
    assert result.highest is not None
    assert result.highest.interval_rps[0] < mm1_rate(0.1) < result.highest.interval_rps[1]
    assert "The time limit was reached" in result.findings[-1]


def test_runs_of_all_variants_meet_the_same_arrivals_and_no_two_of_one_do() -> None:
    one, two = (variant.plan for variant in variants(delay(), vary=["stages.server.workers=1,2"]))
    seed = load_overrides(one, 10, 100, 2)[-1]
    assert seed == load_overrides(two, 10, 100, 2)[-1] != load_overrides(one, 10, 100, 3)[-1]
