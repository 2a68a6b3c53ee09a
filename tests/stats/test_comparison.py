"""Comparisons of blocks: known answers, what must not matter, and how often they are wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.records import Outcome, RunRecords
from harness.stats.comparison import compare_many, compare_sides
from tests.stats.sides import records, sides, stretched

FEW = ("e2e.mean", "e2e.p50", "throughput", "stages.s0.service.mean")
BOUNDED = (*FEW, "e2e.p90")
FOUND = ("e2e.p90", "throughput")
seeds = st.integers(0, 2**32 - 1)


def test_equal_sides_do_not_differ():
    a, _ = sides(1)
    comparison = compare_sides(a, a)
    for effect in comparison.effects:
        assert effect.ratio == 1.0
        assert effect.ratio_interval == pytest.approx((1.0, 1.0), abs=0.04)  # as far as the next of the latencies
        assert effect.verdict == "no difference"
        assert effect.lengthen is None
    assert comparison.requests == (2000, 2000)
    assert comparison.notes == ()


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from([2, 3, 7]))
def test_stretching_b_multiplies_every_ratio(seed, factor):
    a, b = sides(seed, blocks=7, n=60)
    plain = compare_sides(a, b, metrics=FEW)
    longer = compare_sides(a, [stretched(block, factor) for block in b], metrics=FEW)
    for effect in plain.effects:
        other = longer.effect(effect.metric)
        k = 1 / factor if effect.higher_is_better else factor
        assert other.ratio == pytest.approx(k * effect.ratio)


@settings(max_examples=8, deadline=None)
@given(seeds, st.floats(1.0, 1.3))
def test_exchanged_sides_have_the_inverse_ratio(seed, slower):
    a, b = sides(seed, blocks=8, n=80, slower=slower)
    one, other = compare_sides(a, b, metrics=FEW), compare_sides(b, a, metrics=FEW)
    opposite = {"faster": "slower", "slower": "faster"}
    for effect in one.effects:
        turned = other.effect(effect.metric)
        assert turned.ratio == pytest.approx(1 / effect.ratio)
        assert turned.ratio_interval == pytest.approx(tuple(1 / end for end in effect.ratio_interval[::-1]), rel=1e-4)
        assert turned.difference == pytest.approx(-effect.difference)
        assert turned.verdict == opposite.get(effect.verdict, effect.verdict)


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_the_order_of_the_pairs_does_not_matter(seed):
    a, b = sides(seed, blocks=8, n=80)
    order = np.random.default_rng(seed).permutation(8)
    one = compare_sides(a, b, metrics=FEW)
    other = compare_sides([a[i] for i in order], [b[i] for i in order], metrics=FEW)
    for effect in one.effects:
        again = other.effect(effect.metric)
        assert (again.a, again.b) == pytest.approx((effect.a, effect.b))
        assert again.ratio_interval == pytest.approx(effect.ratio_interval, rel=1e-6)
        assert again.difference_interval == pytest.approx(effect.difference_interval, rel=1e-6)


def test_an_interval_holds_its_estimate_and_agrees_with_its_verdict():
    for seed, slower in ((1, 1.0), (2, 1.05), (3, 1.5), (4, 0.7)):
        a, b = sides(seed, n=400, slower=slower)
        for effect in compare_sides(a, b, metrics=BOUNDED, alone=BOUNDED).effects:
            low, high = effect.ratio_interval
            assert low <= effect.ratio <= high
            assert effect.difference_interval[0] <= effect.difference <= effect.difference_interval[1]
            assert effect.b_interval[0] <= effect.b <= effect.b_interval[1]
            assert (effect.verdict in ("faster", "slower")) == (not low <= 1.0 <= high)
            # No ratio of 1 and no difference of 0 are the same hypothesis.
            assert (effect.difference_interval[0] > 0) == (low > 1.0)


def test_false_verdicts_are_as_rare_as_stated():
    """100 comparisons of equal queues at 0.8, each with five metrics: 5 expected, 13 or more once in 700."""
    wrong = 0
    for seed in range(100):
        a, b = sides([7, seed], blocks=8, n=150, utilisation=0.8)
        wrong += any(e.verdict in ("faster", "slower") for e in compare_sides(a, b, metrics=FEW).effects)
    assert wrong <= 12


def test_a_planted_slowdown_is_found_at_the_length_that_is_asked_for():
    """Services 3 % longer raise the p90 of M/M/1 at 0.5 by 6.4 %: more than the margin, found with 0.9."""
    found, asked = 0, []
    for seed in range(20):
        a, b = sides([8, seed], n=200, slower=1.03, same=True)
        effect = compare_sides(a, b, metrics=FOUND).effect("e2e.p90")
        if effect.requests_needed is not None:
            asked.append(effect.requests_needed)
            n = math.ceil(effect.requests_needed / 10)
            effect = compare_sides(*sides([9, seed], n=n, slower=1.03, same=True), metrics=FOUND).effect("e2e.p90")
        found += effect.verdict == "slower"
    assert found >= 15  # 18 expected; 14 or fewer come once in 90
    assert all(needed >= 2000 for needed in asked)


def test_a_longer_run_sees_smaller_effects():
    short, long = (compare_sides(*sides(5, n=n), metrics=FEW).effect("e2e.mean") for n in (200, 3200))
    assert long.smallest_effect == pytest.approx(short.smallest_effect / 4, rel=0.5)


def test_lower_is_better_for_latency_and_higher_for_throughput():
    a, b = sides(6, same=True)
    b = [stretched(block, 2) for block in b]
    comparison = compare_sides(a, b)
    assert comparison.effect("e2e.p50").verdict == "slower"
    assert comparison.effect("throughput").verdict == "slower"
    assert comparison.effect("throughput").ratio == pytest.approx(0.5)
    assert compare_sides(b, a).effect("throughput").verdict == "faster"


def test_several_sides_share_one_error():
    a, b = sides(10, slower=1.02)
    _, c = sides(11, slower=2.0)
    alone, together = compare_sides(a, b, metrics=FEW), compare_many([a, b, c], metrics=FEW)
    assert len(together) == 2
    for effect in alone.effects:
        wider = together[0].effect(effect.metric)
        assert wider.ratio == effect.ratio
        assert wider.ratio_interval[0] <= effect.ratio_interval[0] + 1e-9
        assert wider.ratio_interval[1] >= effect.ratio_interval[1] - 1e-9
    assert together[1].effect("e2e.mean").verdict == "slower"


def test_too_few_blocks_are_declined_with_what_is_needed():
    a, b = sides(12, blocks=5, n=400)
    for effect in compare_sides(a, b).effects:
        assert effect.verdict == "declined"
        assert effect.reason == "5 blocks; at least 6 are needed"
        assert effect.requests_needed == 2400


def test_a_p99_of_few_requests_is_declined_and_the_rest_is_answered():
    a, b = sides(13, n=30)
    comparison = compare_sides(a, b)
    p99 = comparison.effect("e2e.p99")
    assert (p99.verdict, p99.requests_needed) == ("declined", 1200)
    assert p99.ratio_interval is None
    assert comparison.effect("e2e.p50").verdict != "declined"


def test_of_a_saturated_side_only_throughput_and_services_are_compared():
    a, b = sides(14, n=300, utilisation=0.9, slower=2.0)
    comparison = compare_sides(a, b)
    assert comparison.effect("e2e.p50").verdict == "declined"
    assert "side b is saturated" in comparison.effect("e2e.p99").reason
    assert comparison.effect("throughput").verdict == "slower"
    assert comparison.effect("stages.s0.service.mean").ratio == pytest.approx(2.0, rel=0.1)


def test_a_block_that_completed_nothing_is_no_block():
    a, b = sides(15)
    b[3] = with_outcome(b[3], Outcome.FAILED, 1.0)
    comparison = compare_sides(a, b)
    assert all(e.verdict == "declined" for e in comparison.effects)
    assert comparison.effects[0].reason == "a block of side b completed nothing"


def test_failed_and_dropped_requests_are_told():
    a, b = sides(16)
    comparison = compare_sides(a, [with_outcome(block, Outcome.DROPPED, 0.1) for block in b])
    assert comparison.notes == ("10.0% of the requests of side b were dropped: its figures are those of the others",)
    assert comparison.requests == (2000, 1800)


def test_the_service_of_a_batch_counts_once():
    a, _ = sides(17, blocks=8, n=100)
    batched = []
    for block in a:
        rows = block.rows.copy()
        columns = block.layout.columns
        for field in ("batch", "taken", "started", "done"):
            column = rows[:, columns[f"s0.{field}"]]
            column[1::2] = column[::2]  # pairs share a service
        batched.append(RunRecords(block.layout, rows, {}))
    effect = compare_sides(batched, batched).effect("stages.s0.service.mean")
    services = np.concatenate([(b.stage(0).done - b.stage(0).started)[::2] for b in a])
    assert effect.a == pytest.approx(services.mean() / 1e6)


def test_a_constant_difference_has_an_interval_of_no_width():
    due = 1_000_000 * np.arange(1, 101)
    a = [records(due, np.full(100, 200_000), due + 200_000) for _ in range(8)]
    b = [records(due, np.full(100, 300_000), due + 300_000) for _ in range(8)]
    effect = compare_sides(a, b).effect("e2e.p50")
    assert effect.verdict == "slower"
    assert effect.ratio_interval == pytest.approx((1.5, 1.5), rel=1e-3)
    assert effect.difference_interval == pytest.approx((0.1, 0.1), rel=1e-2)


def test_bs_own_interval_is_given_where_it_is_asked_for():
    a, b = sides(19, n=1000)
    comparison = compare_sides(a, b, alone=["e2e.p50", "throughput"])
    assert comparison.effect("e2e.p50").b_interval[0] < math.log(2) / 0.5 < comparison.effect("e2e.p50").b_interval[1]
    assert comparison.effect("throughput").b_interval[0] < 500 < comparison.effect("throughput").b_interval[1]
    assert comparison.effect("e2e.mean").b_interval is None


def test_a_figure_of_0_has_no_ratio():
    due = 1_000_000 * np.arange(1, 101)
    instant = [records(due, np.zeros(100, np.int64), due) for _ in range(8)]
    effect = compare_sides(instant, instant).effect("e2e.mean")
    assert (effect.verdict, effect.reason) == ("declined", "there is no ratio to 0")


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    a, b = sides(18, n=50)
    with pytest.raises(UsageError, match=r"e2e\.p98") as error:
        compare_sides(a, b, metrics=["e2e.p98"])
    assert "stages.{s0}.service" in error.value.hint


def with_outcome(block, outcome, share):
    """The first requests of a block end otherwise."""
    rows = block.rows.copy()
    rows[: round(share * len(rows)), block.layout.columns["outcome"]] = outcome
    return RunRecords(block.layout, rows, {})
