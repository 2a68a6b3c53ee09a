"""Several pipelines open at once: the same load for each, in turns, and what is left when one of them breaks."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import pytest

from harness.errors import StageFailed, StalledError
from harness.executors.blocks import Blocks, Standing, balanced, execute_blocks, order
from harness.plan import Plan
from harness.records import Outcome, Phase
from tests.pipelines import plan

EXECUTORS = (("process", "process"), ("process", "asyncio"))
pairs = pytest.mark.parametrize("executors", EXECUTORS, ids="-".join)
DELAY = {"distribution": "constant", "mean": "1 ms"}
POISSON = {"arrivals": "poisson", "rate": "400/s", "requests": 20, "warmup": 3}


def sides(
    *stages: dict[str, Any], executors: tuple[str, ...], blocks: int = 4, load: dict[str, Any] = POISSON
) -> list[Plan]:
    """A Plan for each stage, under the same load."""
    return [
        replace(plan(stage, load=load, executor=executor), blocks=blocks)
        for stage, executor in zip(stages, executors, strict=True)
    ]


@pytest.fixture
def before() -> set[psutil.Process]:
    """Children that other tests have left, such as a browser's driver."""
    return set(psutil.Process().children(recursive=True))


def ended(blocks: Blocks) -> Blocks:
    assert blocks.ending.error is None, blocks.ending.error
    return blocks


@pytest.mark.parametrize("count", range(2, 8))
def test_the_order_puts_every_side_equally_often_in_every_place_and_behind_every_other(count: int) -> None:
    rows = [order(count, block) for block in range(2 * count)]
    assert all(sorted(row) == list(range(count)) for row in rows)
    places = Counter((place, side) for row in rows for place, side in enumerate(row))
    neighbours = Counter(pair for row in rows for pair in pairwise(row))
    assert set(places.values()) == {2} and len(places) == count**2
    assert set(neighbours.values()) == {2} and len(neighbours) == count * (count - 1)


@pytest.mark.parametrize("count", range(2, 9))
def test_over_the_default_number_of_blocks_every_side_goes_first_and_last_equally_often(count: int) -> None:
    blocks = balanced(count, 10)
    assert 10 <= blocks < 10 + 2 * count
    places = Counter((place, side) for block in range(blocks) for place, side in enumerate(order(count, block)))
    assert set(places.values()) == {blocks // count} and len(places) == count**2


@pytest.mark.parametrize("count", range(2, 9))
def test_over_any_number_of_blocks_the_turns_to_go_first_differ_by_one_at_most(count: int) -> None:
    first = Counter(dict.fromkeys(range(count), 0))
    for block in range(5 * count):
        first[order(count, block)[0]] += 1
        assert max(first.values()) - min(first.values()) <= 1


def test_two_sides_take_turns_so_that_a_steady_drift_meets_both_alike() -> None:
    assert ["".join("ab"[side] for side in order(2, block)) for block in range(4)] == ["ab", "ba", "ba", "ab"]


@pytest.fixture(scope="module", params=EXECUTORS, ids="-".join)
def found(request: pytest.FixtureRequest) -> Blocks:
    """Four blocks of two sides that are the same."""
    return ended(execute_blocks(sides({"delay": DELAY}, {"delay": DELAY}, executors=request.param)))


def test_every_side_has_the_same_arrivals_in_a_block_and_every_block_others(found: Blocks) -> None:
    assert found.complete == 4
    gaps = [[np.diff(block.due) for block in found.measured(side)] for side in (0, 1)]
    for a, b in zip(*gaps, strict=True):
        assert len(a) == 19
        assert (a == b).all()
    assert len({tuple(block) for block in gaps[0]}) == 4


def test_turns_follow_one_another_and_each_block_has_a_warm_up_of_its_own(found: Blocks) -> None:
    assert [(turn.block, turn.side) for turn in found.turns] == [(b, s) for b in range(4) for s in order(2, b)]
    for before, after in pairwise(found.turns):
        assert before.ended_ns <= after.begun_ns
    for turn in found.turns:
        records = found.sides[turn.side].records
        mine = records.select((records.due >= turn.begun_ns) & (records.due <= turn.ended_ns))
        assert len(mine.of_phase(Phase.WARMUP)) == 3
        assert len(mine.of_phase(Phase.MEASURED)) == 20
        assert mine.of_phase(Phase.WARMUP).due.max() <= mine.of_phase(Phase.MEASURED).due.min()
        assert mine.completed.max() <= turn.ended_ns


@pairs
def test_a_closed_load_begins_every_block_anew(executors: tuple[str, ...]) -> None:
    load = {"arrivals": "closed", "concurrency": 3, "requests": 15, "warmup": 4}
    found = ended(execute_blocks(sides({"delay": DELAY}, {"delay": DELAY}, executors=executors, load=load)))
    for turn in found.turns:
        records = found.sides[turn.side].records
        mine = records.select((records.issued >= turn.begun_ns) & (records.issued <= turn.ended_ns))
        assert len(mine) == 19
        assert mine.due.min() >= turn.begun_ns, "due when one of the block before completed"
        assert np.isin(mine.due[3:], mine.completed).mean() > 0.9


@pytest.mark.slow
def test_service_times_and_images_are_those_of_the_request_on_every_side() -> None:
    source = {"images": "synthetic", "height": 48, "width": 48, "count": 5}
    stage = {"preprocess": {"resize": 40, "crop": 32}}
    plans = [replace(plan(stage, load=POISSON, source=source), blocks=3) for _ in range(2)]
    found = ended(execute_blocks(plans))
    images = [execution.records.column("image") for execution in found.sides]
    assert (images[0] == images[1]).all()
    assert set(images[0]) == set(range(5))


@pytest.mark.slow
def test_the_rate_follows_the_capacity_of_the_first_side_and_all_are_calibrated() -> None:
    load = {"arrivals": "constant", "utilisation": 0.4, "calibration": "500 ms", "requests": 10}
    slow = {"delay": {"distribution": "constant", "mean": "4 ms"}}
    found = ended(execute_blocks(sides(slow, {"delay": DELAY}, executors=("asyncio", "asyncio"), load=load)))
    first, second = found.sides
    assert first.saturated_rps and second.saturated_rps
    assert second.saturated_rps > 1.5 * first.saturated_rps
    assert first.offered_rps == second.offered_rps == pytest.approx(0.4 * first.saturated_rps)
    assert len(found.measured(1)) == 4


def interrupting(at_turn: int, action: Any) -> Any:
    """An observer that acts once, when so many turns are over."""
    done: list[bool] = []

    def observe(standing: Standing) -> None:
        if len(standing.turns) >= at_turn and not done:
            done.append(True)
            action()

    return observe


@pytest.mark.parametrize(("executor", "number"), [("process", signal.SIGINT), ("asyncio", signal.SIGTERM)])
def test_a_signal_ends_it_with_the_complete_blocks(
    executor: str, number: signal.Signals, before: set[psutil.Process]
) -> None:
    plans = sides({"delay": DELAY}, {"delay": DELAY}, executors=(executor, executor), blocks=500)
    found = execute_blocks(plans, interrupting(5, lambda: os.kill(os.getpid(), number)), observe_every_s=0.01)
    assert (found.ending.status, found.ending.signal) == ("interrupted", number)
    assert 2 <= found.complete < 100
    for side in (0, 1):
        assert all(len(block) == 20 for block in found.measured(side))
        assert all((block.outcome == Outcome.COMPLETED).all() for block in found.measured(side))
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_worker_that_dies_ends_it_names_its_side_and_keeps_what_was_measured(before: set[psutil.Process]) -> None:
    def kill() -> None:
        youngest = max(psutil.Process().children(), key=lambda child: (child.create_time(), child.pid))
        youngest.kill()  # the worker of side b, the last one that was started

    plans = sides({"delay": DELAY}, {"delay": DELAY}, executors=("process", "process"), blocks=500)
    found = execute_blocks(plans, interrupting(5, kill), observe_every_s=0.01)
    assert found.ending.status == "failed"
    assert isinstance(found.ending.error, StageFailed)
    assert found.ending.error.where.startswith("side b: stage s0, process s0-0")
    assert 2 <= found.complete < 100
    assert all((block.outcome == Outcome.COMPLETED).all() for block in found.measured(0))
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_side_that_does_not_get_ready_ends_all(before: set[psutil.Process]) -> None:
    good = plan({"delay": DELAY}, load=POISSON)
    slow = plan({"delay": DELAY}, load=POISSON, deadlines={"startup": "1 ms"})
    found = execute_blocks([good, slow])
    assert found.complete == 0
    assert isinstance(found.ending.error, StalledError)
    assert found.ending.error.where == "side b: deadlines.startup"
    assert set(psutil.Process().children(recursive=True)) <= before


def test_blocks_of_more_requests_than_lie_in_memory_are_those_of_their_schedules() -> None:
    """Each side streams to a file of its own; rows go on through the ring from one block to the next."""
    load = {"arrivals": "poisson", "rate": "3000/s", "requests": 250, "warmup": 20}
    null = {"null": {"capacity": 8}}
    small = [replace(p, memory_rows=128) for p in sides(null, null, executors=("asyncio", "asyncio"), load=load)]
    assert small[0].ring_rows == 128
    done = execute_blocks(small)
    assert done.ending.error is None
    for side in range(2):
        assert len(done.sides[side].records) == 4 * 270
        for block, records in enumerate(done.measured(side)):
            expected = small[side].due_times(3000.0, block)[20:]
            assert (records.outcome == Outcome.COMPLETED).all()
            assert (records.due - records.due[0]).tolist() == (expected - expected[0]).tolist()
