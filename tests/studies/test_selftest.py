"""`harness selftest`: it passes a right instrument and does not pass a wrong one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.report.screens import selftest as report
from harness.studies import selftest
from harness.studies.selftest import Line, _bound, _delay, _queue
from harness.theory import mm1


def test_a_real_queue_is_held_against_theory_and_replay() -> None:
    lines = list(_queue("M/M/1", [_delay("exponential")], mm1(200, 0.003), 200, 300))
    assert {line.test for line in lines} >= {"M/M/1, p50", "M/M/1, replayed p90"}
    assert all(line.verdict in ("pass", "noise") for line in lines), lines


@pytest.mark.slow
def test_a_wrong_expectation_fails() -> None:
    """Against the answer for a server that is twice as fast, the same queue must not pass."""
    lines = list(_queue("M/M/1", [_delay("exponential")], mm1(200, 0.0015), 200, 300))
    median = next(line for line in lines if line.test == "M/M/1, p50")
    assert median.verdict != "pass"


def test_the_twin_agrees_with_theory() -> None:
    assert [line.verdict for line in selftest._twin()] == ["pass", "pass"]


def test_noise_excuses_a_failure_and_is_named() -> None:
    assert (_bound(True, "steal 9%"), _bound(False, "steal 9%"), _bound(False, "")) == ("pass", "noise", "fail")


@pytest.mark.parametrize(("verdict", "says"), [("pass", "All 1 hold"), ("fail", "do not trust"), ("noise", "steal 9%")])
def test_the_conclusion_says_what_it_comes_to(verdict: str, says: str) -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    line = Line("M/M/1 at 30%, p50", 3.0, 3.1, 2.9, 3.3, "ms", verdict, "steal 9%")  # type: ignore[arg-type]
    report.head(console)
    report.show(console, line)
    report.conclude(console, [line])
    text = console.export_text()
    assert says in text
    assert max(map(len, text.splitlines())) <= 80
