"""What pictures are drawn from: thinning keeps every extreme, and each series agrees with the records."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Outcome, Phase
from harness.stats import series
from harness.stats.budget import budget
from harness.stats.quantiles import quantile
from tests.pipelines import run

LATENCIES = st.lists(st.integers(1, 10**9), min_size=1, max_size=400).map(np.array)


@pytest.fixture(scope="module")
def executed():
    """A short real run with a queue in it."""
    delay = {"delay": {"name": "server", "mean": "1 ms", "capacity": 1000}}
    front = {"null": {"name": "front", "batch": {"max": 4, "timeout": "1 ms"}}}
    load = {"arrivals": "poisson", "rate": "600/s", "requests": 400, "warmup": 20}
    return run(front, delay, load=load, executor="asyncio")


@pytest.fixture(scope="module")
def found(executed):
    return series.of_run(executed.records)


def done(executed):
    return executed.records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)


# Thinning


TIMES = st.integers(0, 10**6).map(lambda tenths: tenths / 1e4)


@given(st.lists(st.tuples(TIMES, st.integers(0, 20)), min_size=1, max_size=300), st.integers(1, 30))
def test_thinning_keeps_the_smallest_and_the_largest_of_every_span_and_both_ends(points, spans):
    points.sort(key=lambda point: point[0])
    x, y = (np.array(values, float) for values in zip(*points, strict=True))
    kept = series.thinned(x, y, spans)
    assert (np.diff(kept) > 0).all()
    assert {0, len(x) - 1} <= set(kept.tolist())
    if x[-1] == x[0]:
        return
    of = np.minimum(((x - x[0]) * (spans / (x[-1] - x[0]))).astype(int), spans - 1)
    for span in np.unique(of):
        inside = of == span
        assert y[kept][of[kept] == span].max() == y[inside].max()
        assert y[kept][of[kept] == span].min() == y[inside].min()


@given(st.integers(1000, 3000), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_thinning_leaves_few_points_and_all_of_the_slow_ones(n, spans, seed):
    y = np.random.default_rng(seed).exponential(size=n)
    slow = y >= np.sort(y)[-n // 100]
    kept = series.thinned(np.arange(n, dtype=float), y, spans, keep=slow)
    assert len(kept) <= 2 * spans + 2 + slow.sum()
    assert set(np.flatnonzero(slow)) <= set(kept.tolist())


def test_what_is_not_too_much_is_not_thinned():
    x = np.arange(10.0)
    assert len(series.thinned(x, np.zeros(10), 5)) == 10


# Distributions


@given(LATENCIES)
def test_a_distribution_has_the_quantiles_that_the_summary_has(values):
    found = series.distribution(values)
    for level in series.CURVE_LEVELS:
        assert found.quantile(level) == quantile(values, level) / 1e6


@given(LATENCIES)
def test_the_percentile_curve_is_at_each_level_the_quantile_at_that_level(values):
    found = series.distribution(values)
    for level in (0.5, 0.9, 0.99):
        # each step holds from its nines, exclusive, to the next one's, inclusive; hence the hair's breadth
        step = np.searchsorted(found.nines, -np.log10(1 - level) - 1e-9) - 1
        assert found.ms[max(step, 0)] == quantile(values, level) / 1e6


def test_every_one_of_the_slowest_is_on_the_curve():
    values = np.random.default_rng(1).permutation(100_000) + 1
    found = series.distribution(values)
    assert len(found.ranks) < 1500
    assert set(range(100_000 - series.LAST_RANKS + 1, 100_001)) <= set(found.ranks.tolist())
    assert (found.ms == found.ranks / 1e6).all()
    assert found.shares[-1] == 1.0


@given(LATENCIES)
def test_histograms_count_each_request_that_took_a_microsecond_or_more(values):
    found = series.histograms({"a": values, "nothing": np.zeros_like(values)})
    assert found.counts["a"].sum() == (values >= 1000).sum()
    assert found.counts["nothing"].sum() == 0


# Of a run


def test_the_shares_of_the_two_compositions_are_the_summary_s(executed, found):
    split = budget(executed.records)
    slow = split.e2e >= quantile(split.e2e, 0.99)
    for parts, shares, mean in (
        (found.slowest_ms, split.shares(slow), split.e2e[slow].mean() / 1e6),
        (found.typical_ms, None, None),
    ):
        total = sum(parts.values())
        if shares is not None:
            assert {k: v / total for k, v in parts.items()} == pytest.approx(shares)
            assert total == pytest.approx(mean)
        assert sum(series.by_kind(parts).values()) == pytest.approx(total)


def test_latencies_over_time_are_those_of_the_records(executed, found):
    records = done(executed)
    assert found.latency.y == pytest.approx((records.completed - records.due) / 1e6)
    assert found.latency.x == pytest.approx((records.due - records.due.min()) / 1e9)
    assert found.requests.tolist() == list(range(400))


def test_the_area_below_the_number_in_the_system_is_the_sum_of_the_latencies(executed, found):
    records = executed.records
    steps = found.in_system.steps
    assert float(steps.y[:-1] @ np.diff(steps.x)) == pytest.approx((records.completed - records.due).sum() / 1e9)
    assert steps.y[-1] == 0


def test_the_area_below_the_requests_that_wait_is_the_sum_of_their_waits(executed, found):
    stage = executed.records.stages[1]
    ready = np.maximum(stage.accepted, executed.records.stages[0].done)
    steps = found.waiting["server"].steps
    assert float(steps.y[:-1] @ np.diff(steps.x)) == pytest.approx((stage.taken - ready).sum() / 1e9)


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 300)), max_size=60), st.integers(1, 20))
def test_the_means_of_a_depth_are_those_of_its_intervals_however_it_is_thinned(intervals, spans):
    begin, length = np.array(intervals, np.int64).reshape(-1, 2).T
    edges = np.linspace(100.0, 900.0, spans + 1)
    mean = series.depth(begin, begin + length, edges, spans=1).mean
    for low, high, found in zip(edges[:-1], edges[1:], mean.y[:-1], strict=True):
        inside = np.minimum(begin + length, high) - np.maximum(begin, low)
        assert found == pytest.approx(np.maximum(inside, 0).sum() / (high - low))
    assert mean.x == pytest.approx((edges - 100) / 1e9)


def test_the_area_below_the_throughput_is_the_number_of_requests(found):
    for rate in found.rates.values():
        assert float(rate.y[:-1] @ np.diff(rate.x)) == pytest.approx(400)


def test_the_slowest_come_first_with_all_of_their_time(executed, found):
    records = done(executed)
    latency = (records.completed - records.due) / 1e6
    assert [slow.e2e_ms for slow in found.slowest] == pytest.approx(sorted(latency, reverse=True)[: series.SLOWEST])
    for slow in found.slowest:
        assert latency[slow.request] == pytest.approx(slow.e2e_ms)
        assert sum(slow.components_ms.values()) == pytest.approx(slow.e2e_ms)


def test_where_nothing_completed_there_is_nothing_to_draw(executed):
    records = executed.records
    rows = records.rows.copy()
    rows[:, records.layout.columns["outcome"]] = Outcome.FAILED
    assert series.of_run(type(records)(records.layout, rows, {})) is None


def test_dropped_and_failed_requests_have_rates_of_their_own(executed):
    rows = executed.records.rows.copy()
    rows[50:150, executed.records.layout.columns["outcome"]] = Outcome.DROPPED
    found = series.of_run(type(executed.records)(executed.records.layout, rows, {}))
    dropped = found.rates["dropped"]
    assert float(dropped.y[:-1] @ np.diff(dropped.x)) == pytest.approx(100)
    assert "failed" not in found.rates


def test_the_highest_of_each_span():
    steps = series.Series(np.array([-1.0, 0.1, 0.2, 2.9, 3.0]), np.array([9.0, 1.0, 5.0, 2.0, 3.0]))
    assert steps.highest(3, 3.0).tolist() == [5.0, 0.0, 3.0]


def test_cpu_shares_are_percent_over_the_seconds_of_the_run():
    found = series.cpu({"at_ns": [1_500_000_000, 2_000_000_000], "steal": [0.25, 0.0]}, 1_000_000_000)
    assert (found["steal"].x.tolist(), found["steal"].y.tolist()) == ([0.5, 1.0], [25.0, 0.0])
