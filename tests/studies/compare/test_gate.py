"""Limits for CI: how they are written, and when they fail."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import UsageError
from harness.stats.comparison import Comparison, Effect
from harness.studies.compare.gate import judge, parse_limit

STAGES = ("preprocess", "inference")


@pytest.mark.parametrize(
    "text, metric, above, against, value",
    [
        ("e2e.p99 > +5%", "e2e.p99", True, "ratio", 1.05),
        ("e2e.p99>+5%", "e2e.p99", True, "ratio", 1.05),
        ("  throughput <  -3 % ", "throughput", False, "ratio", 0.97),
        ("e2e.mean > -1.5%", "e2e.mean", True, "ratio", 0.985),
        ("e2e.p99 > +3ms", "e2e.p99", True, "difference", 3.0),
        ("e2e.p50 > +250 us", "e2e.p50", True, "difference", 0.25),
        ("e2e.p50 < -1 ms", "e2e.p50", False, "difference", -1.0),
        ("throughput < -2/s", "throughput", False, "difference", -2.0),
        ("e2e.p99 > 200ms", "e2e.p99", True, "figure", 200.0),
        ("e2e.p99 > 1.5 s", "e2e.p99", True, "figure", 1500.0),
        ("throughput < 40/s", "throughput", False, "figure", 40.0),
        ("stages.preprocess.service.p50 > +2%", "stages.preprocess.service.p50", True, "ratio", 1.02),
    ],
)
def test_a_limit_is_read(text: str, metric: str, above: bool, against: str, value: float) -> None:
    limit = parse_limit(text, STAGES)
    assert (limit.metric, limit.above, limit.against) == (metric, above, against)
    assert limit.value == pytest.approx(value)
    assert limit.text == text.strip()


@pytest.mark.parametrize(
    "text, what",
    [
        ("", "expected METRIC"),
        ("e2e.p99", "expected METRIC"),
        ("e2e.p99 >", "expected METRIC"),
        ("> 5%", "expected METRIC"),
        ("e2e.p99 = +5%", "expected METRIC"),
        ("e2e.p99 >= +5%", "expected METRIC"),
        ("e2e.p99 > +5% > 3ms", "expected METRIC"),
        ("e2e.p99 > 5%", "needs its sign"),
        ("e2e.p99 > +5", "a percentage"),
        ("e2e.p99 > +five%", "a percentage"),
        ("e2e.p99 > +3/s", "a duration"),
        ("throughput < -3ms", "a rate"),
        ("throughput < -100%", "100 % or more"),
        ("e2e.p98 > +5%", "no metric is called 'e2e.p98'"),
        ("p99 > +5%", "no metric is called 'p99'"),
        ("stages.decode.service.p50 > +2%", "no metric is called"),
        ("stages.inference.queue_wait.p50 > +2%", "no metric is called"),
    ],
)
def test_what_is_no_limit_is_refused_with_its_text(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as error:
        parse_limit(text, STAGES)
    assert error.value.where == f"--fail-if {text!r}"
    assert error.value.hint
    assert error.value.exit_code == 2


def test_an_unknown_metric_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as error:
        parse_limit("latency > +5%", STAGES)
    assert "stages.{preprocess|inference}.service" in error.value.hint
    assert "throughput" in error.value.hint


def comparison(metric: str = "e2e.p99", **keys: Any) -> Comparison:
    """An effect on a latency of 100 ms: 108 ms, of which 104 to 112 ms are certain."""
    effect: dict[str, Any] = {
        "metric": metric,
        "unit": "/s" if metric == "throughput" else "ms",
        "higher_is_better": metric == "throughput",
        "a": 100.0,
        "b": 108.0,
        "ratio_interval": (1.04, 1.12),
        "difference_interval": (4.0, 12.0),
        "b_interval": (103.0, 113.0),
        "verdict": "slower",
        "smallest_effect": 0.06,
        "lengthen": 2.0,
        "requests_needed": 20_000,
        **keys,
    }
    return Comparison((Effect(**effect),), 10, (10_000, 10_000), 0.95, 0.05, True)


@pytest.mark.parametrize(
    "text, outcome",
    [
        ("e2e.p99 > +3%", "failed"),
        ("e2e.p99 > +5%", "undecided"),
        ("e2e.p99 > +15%", "kept"),
        ("e2e.p99 > +3ms", "failed"),
        ("e2e.p99 > +5ms", "undecided"),
        ("e2e.p99 > +13ms", "kept"),
        ("e2e.p99 > 100ms", "failed"),
        ("e2e.p99 > 105ms", "undecided"),
        ("e2e.p99 > 120ms", "kept"),
        ("e2e.p99 < +15%", "failed"),  # a gate for what must become slower is odd, and means what it says
        ("e2e.p99 < +3%", "kept"),
    ],
)
def test_a_gate_fails_when_the_whole_interval_lies_beyond(text: str, outcome: str) -> None:
    found = judge(parse_limit(text, STAGES), comparison())
    assert found.outcome == outcome
    assert found.failed == (outcome == "failed")
    assert text in found.message


def test_a_drop_of_throughput_fails_below_its_limit() -> None:
    slower = comparison("throughput", b=90.0, ratio_interval=(0.88, 0.92), difference_interval=(-12.0, -8.0))
    assert judge(parse_limit("throughput < -3%", STAGES), slower).outcome == "failed"
    assert judge(parse_limit("throughput < -10%", STAGES), slower).outcome == "undecided"
    assert judge(parse_limit("throughput < -5/s", STAGES), slower).outcome == "failed"
    assert judge(parse_limit("throughput < -20%", STAGES), slower).outcome == "kept"


def test_what_it_rests_on_is_told() -> None:
    message = judge(parse_limit("e2e.p99 > +3%", STAGES), comparison()).message
    assert message == "e2e.p99 > +3%: failed: +8.00% (95% interval +4.00% to +12.00%)"
    message = judge(parse_limit("e2e.p99 > 105ms", STAGES), comparison()).message
    assert message == (
        "e2e.p99 > 105ms: undecided: 108.0 ms (95% interval 103.0 ms to 113.0 ms): this run cannot decide;"
        " about 20,000 requests a side could"
    )


def test_what_cannot_be_judged_keeps_the_gate_shut() -> None:
    declined = comparison(
        verdict="declined", ratio_interval=None, difference_interval=None, b_interval=None, reason="side b is saturated"
    )
    found = judge(parse_limit("e2e.p99 > +5%", STAGES), declined)
    assert found.outcome == "not judged"
    assert found.failed
    assert "side b is saturated" in found.message
