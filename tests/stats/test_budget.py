"""What held a request up before its first stage, against a producer of whom every nanosecond is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Layout, Outcome, Phase, RunRecords
from harness.stats.budget import blocked_spans, budget, held_up
from harness.stats.summary import summarise_run
from tests.facts import facts
from tests.pipelines import plan, run

LAYOUT = Layout.tandem(["s0"])
COLUMNS = LAYOUT.columns
ENDS = (Outcome.COMPLETED, Outcome.COMPLETED, Outcome.FAILED, Outcome.DROPPED, Outcome.ABORTED)


@dataclass(frozen=True)
class Offer:
    """One turn of the producer, in ns: how far off the next request is due, seen from the end of the turn before; how
    late the producer itself is with it; for how long it is then blocked; what becomes of the request."""

    due: int
    own: int
    blocked: int
    phase: int
    outcome: int


OFFERS = st.lists(
    st.builds(
        Offer,
        due=st.integers(-60, 20),
        own=st.integers(0, 5),
        blocked=st.one_of(st.just(0), st.integers(0, 40)),
        phase=st.sampled_from((Phase.MEASURED, Phase.WARMUP, Phase.SATURATION)),
        outcome=st.sampled_from(ENDS),
    ),
    min_size=1,
    max_size=25,
)


def played(offers: list[Offer], ordered: bool) -> tuple[RunRecords, list[int]]:
    """The records of a producer that does these turns, and for how long each request was held up: tick by tick.

    ordered: as under an open load, where no request is due before the one in front of it. Under a closed one the next
    is due when any has ended, in whatever order the producer learns of it.
    """
    rows = np.zeros((len(offers), LAYOUT.width), np.int64)
    blocked_ticks: set[int] = set()
    expected: list[int] = []
    now = latest = 1000
    for row, offer in zip(rows, offers, strict=True):
        due = max(now + offer.due, latest) if ordered else now + offer.due
        latest = due
        offered = max(now, due) + offer.own
        expected.append(len(blocked_ticks & set(range(due, offered))))
        accepted = offered if offer.outcome == Outcome.DROPPED else offered + offer.blocked
        blocked_ticks |= set(range(offered, accepted))
        row[[COLUMNS[name] for name in ("due", "phase", "outcome")]] = due, offer.phase, offer.outcome
        row[COLUMNS["s0.offered"]] = offered
        if offer.outcome != Outcome.DROPPED:
            row[[COLUMNS[f"s0.{name}"] for name in ("accepted", "taken", "started", "done")]] = accepted
        now = accepted
    return RunRecords(LAYOUT, rows, {}), expected


@given(OFFERS, st.booleans())
def test_what_held_the_producer_up_is_told_from_its_own_lateness_to_the_nanosecond(offers, ordered):
    records, expected = played(offers, ordered)
    assert held_up(records).tolist() == expected


@given(OFFERS, st.booleans())
def test_a_request_of_any_phase_and_outcome_holds_up_those_behind_it(offers, ordered):
    """The components of the measured ones that completed are exact, though others blocked the producer."""
    records, expected = played(offers, ordered)
    split = budget(records)
    counted = np.array([o.phase == Phase.MEASURED and o.outcome == Outcome.COMPLETED for o in offers])
    own_blocking = np.array([o.blocked for o in offers])
    assert split.components["s0.blocked"].tolist() == (np.array(expected) + own_blocking)[counted].tolist()
    late = records.issued - records.due - np.array(expected)
    assert split.components["producer"].tolist() == late[counted].tolist()
    assert (sum(split.components.values()) == split.e2e).all()


@given(OFFERS, st.booleans(), st.data())
def test_what_was_over_before_the_first_of_them_was_due_changes_nothing(offers, ordered, data):
    """So that a scrape may look at the last rows alone."""
    records, expected = played(offers, ordered)
    last = data.draw(st.integers(0, len(records) - 1))
    first = max(0, int(np.searchsorted(records.issued, records.due[last:].min(), side="right")) - 1)
    assert held_up(records.select(slice(min(first, last), None)))[-(len(records) - last) :].tolist() == expected[last:]


@given(st.lists(st.tuples(*[st.integers(0, 100)] * 3), min_size=1, max_size=20))
def test_no_request_is_held_up_for_longer_than_it_waited_whatever_the_stamps(stamps):
    """Those of an executor whose requests are offered side by side, too."""
    rows = np.zeros((len(stamps), LAYOUT.width), np.int64)
    rows[:, [COLUMNS[name] for name in ("due", "s0.offered", "s0.accepted")]] = stamps
    records = RunRecords(LAYOUT, rows, {})
    held = held_up(records)
    assert (held >= 0).all()
    assert (held <= np.maximum(records.issued - records.due, 0)).all()
    begin, end = blocked_spans(records)
    assert (end >= begin).all()
    assert (begin[1:] >= end[:-1]).all()


def test_a_request_in_the_hands_of_a_blocked_producer_when_the_run_is_interrupted_held_up_nobody():
    """It was offered and never accepted; nothing was issued behind it."""
    offers = [Offer(0, 0, 30, Phase.MEASURED, Outcome.COMPLETED), Offer(-10, 2, 0, Phase.MEASURED, Outcome.ABORTED)]
    records, expected = played(offers, True)
    records.rows[-1, COLUMNS["s0.accepted"]] = 0
    assert held_up(records).tolist() == expected == [0, 10]
    begin, end = blocked_spans(records)
    assert (end - begin).tolist() == [30, 0]


# Real runs: the first stage is slow, its channel full, and the producer does nothing but wait for it


@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_a_closed_load_that_a_full_channel_holds_back_does_not_blame_the_producer(executor):
    stage = {"delay": {"mean": "5 ms", "distribution": "constant", "capacity": 4}}
    load = {"arrivals": "closed", "concurrency": 32, "requests": 60, "warmup": 10}
    planned = plan(stage, load=load)
    execution = run(stage, load=load, executor=executor)
    summary = summarise_run(planned, execution.records, facts(planned))
    shares = summary.tail.shares
    assert shares["s0.blocked"] > 0.75
    assert shares["producer"] < 0.1
    assert not any("producer" in sentence for sentence in summary.findings)


def test_a_warm_up_that_fills_the_channel_is_no_lateness_of_the_producer():
    """400 ms of work in 20 ms, all of it warm-up, before the ten that are measured."""
    stage = {"delay": {"mean": "10 ms", "distribution": "constant", "capacity": 1}}
    load = {"arrivals": "constant", "rate": "2000/s", "requests": 10, "warmup": 40}
    planned = plan(stage, load=load)
    split = budget(run(stage, load=load, executor="asyncio").records)
    assert split.components["s0.blocked"].min() > 250e6
    assert split.components["producer"].max() < 0.2 * split.e2e.min()
    assert len(split.e2e) == planned.measured == 10
