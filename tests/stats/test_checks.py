"""Validity: what a check says of given figures."""

import numpy as np

from harness.stats import checks
from harness.stats.intervals import dependent
from harness.summary import Recording


def judged(latency):
    return checks.samples(latency, dependent(latency, 0.99))


def test_a_run_that_is_long_enough_says_so_and_what_p999_needs():
    check = judged(np.random.default_rng(1).exponential(1e6, 3_000))
    assert check.level == "ok"
    assert check.message.startswith("3,000 requests are worth about ")
    assert "enough for p99; p99.9 needs about 1" in check.message  # 12,000 and a little more
    assert judged(np.random.default_rng(1).exponential(1e6, 30_000)).message.endswith("enough for p99")


def test_a_short_run_says_how_many_more_are_needed_and_that_its_p99_is_likely_low():
    latency = np.random.default_rng(2).exponential(1e6, 400)
    needed = dependent(latency, 0.99).needed
    check = judged(latency)
    assert check.level == "warning"
    assert f"Needed: about {needed - 400:,} more" in check.message
    assert checks.SHORT_RUN in check.message


def test_the_other_quantiles_that_a_run_is_too_short_for_are_those_without_an_interval():
    # One value in a row counts at the median, and 60 in the two clusters that hold all beyond the p99.
    latency = np.random.default_rng(3).lognormal(0, 0.3, 10_000)
    for start in (2_000, 7_000):
        latency[start : start + 60] += np.linspace(20, 1, 60)
    assert not dependent(latency, 0.99).answered
    assert dependent(latency, 0.5).answered and dependent(latency, 0.9).answered
    named = judged(latency).message.partition("(and ")[2].partition(")")[0].split(", ")
    assert named == [
        label
        for label, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99.9", 0.999))
        if not dependent(latency, q).answered
    ]
    assert "p50" not in named and "p99.9" in named


def test_a_load_that_waited_for_the_disk_is_a_warning_with_both_figures():
    assert checks.recorded(Recording(waits=0, waited_s=0.0)).level == "ok"
    check = checks.recorded(Recording(waits=1_200, waited_s=3.25))
    assert check.level == "warning"
    assert "waited 1,200 times, 3.250 s in all" in check.message
    assert "waited once" in checks.recorded(Recording(waits=1, waited_s=0.1)).message
