"""Rows that are taken out of a ring while others are stamped: whatever its size, the records are the same."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.errors import RunFailed, SaveError
from harness.executors.recorder import TEMPORARY, Destination, Recorder
from harness.executors.ring import LIMIT, Ring
from harness.plan import Plan
from harness.records import DONE, DUE, FAILED_STAGE, OFFERED, OUTCOME, PHASE, STAMPS, Ints, Outcome, Phase, RunRecords
from harness.records.growing import GrowingFile
from tests.pipelines import plan
from tests.properties import holds

WITHIN_S = 20.0


class Played:
    """What producer and workers would do, row by row, in an order that is drawn; of two stages without time."""

    def __init__(self, planned: Plan, destination: Destination = TEMPORARY) -> None:
        self.plan = planned
        values = Ring.values_of(planned.layout, planned.ring_rows)
        self.ring = Ring(planned.layout, planned.ring_rows, np.zeros(values, np.int64))
        self.failures: dict[int, str] = {}
        self.recorder = Recorder(planned, self.ring, self.failures, "now", destination, yields=True)
        self.issued = 0
        self.open: list[int] = []
        """Rows in flight, of which the last stamp of the first stage may still be missing."""

    def begin(self) -> None:
        load, block = self.plan.load, self.plan.block(0)
        schedule = self.plan.schedule(1000.0)
        self.recorder.begin(block.start + len(schedule), Phase.WARMUP, block.start + load.warmup, schedule)

    def issue(self) -> bool:
        """The next row, if its place is free."""
        if self.issued >= self.ring.words[LIMIT]:
            return False
        record, base = self.ring[self.issued], self.plan.layout.base(0)
        assert not record[base:].any(), "nothing of another request is left"
        record[base + OFFERED] = record[base + OFFERED + 1] = self.issued + 1
        self.open.append(self.issued)
        self.issued += 1
        return True

    def end(self, place: int, outcome: int, *, stamped: bool = True) -> None:
        """One of those in flight. stamped: with the last stamp of its first stage, which may come later."""
        row = self.open.pop(place % len(self.open))
        record = self.ring[row]
        for stage in range(2):
            base = self.plan.layout.base(stage)
            record[base : base + len(STAMPS)] = row + 1
        if outcome == Outcome.FAILED:
            record[FAILED_STAGE] = 1
            self.failures[row] = f"reason of {row}"
        if not stamped:
            record[self.plan.layout.base(0) + DONE] = 0
        record[OUTCOME] = outcome

    def look(self) -> None:
        self.recorder.look(min(self.open, default=self.issued), self.issued)

    def wait_for_room(self) -> None:
        until = time.monotonic() + WITHIN_S
        while self.issued >= self.ring.words[LIMIT]:
            assert time.monotonic() < until, "no room came"
            self.look()
            time.sleep(0.0005)

    def settled(self) -> int:
        """The first row in the ring, once it stays the same; not 0."""
        until, same = time.monotonic() + WITHIN_S, 0
        while same < 20:
            assert time.monotonic() < until, "nothing was taken out"
            before = self.recorder.first
            self.look()
            time.sleep(0.001)
            same = same + 1 if self.recorder.first == before > 0 else 0
        return self.recorder.first

    def finish(self) -> RunRecords:
        return self.recorder.finish(self.issued)


def planned(requests: int, memory_rows: int, warmup: int = 0) -> Plan:
    load = {"arrivals": "poisson", "rate": "1000/s", "requests": requests, "warmup": warmup}
    small = {"null": {"capacity": 1}}
    return replace(plan(small, small, load=load), memory_rows=memory_rows)


ENDINGS = [Outcome.COMPLETED, Outcome.COMPLETED, Outcome.FAILED, Outcome.DROPPED]


@holds(25, 500, st.integers(1, 300), st.integers(0, 5), st.sampled_from([1, 32, 64, 1024]), st.integers(0, 2**32))
def test_the_records_are_those_of_a_ring_that_holds_all(requests: int, warmup: int, size: int, seed: int) -> None:
    """Requests overtake one another, and some are still in flight when it ends."""
    chance = random.Random(seed)  # drawn as it goes, which depends on the thread
    played = Played(planned(requests, size, warmup))
    played.begin()
    outcomes: dict[int, int] = {}
    while played.issued < warmup + requests:
        if len(played.open) >= chance.randint(1, 5) or not played.issue():
            if not played.open:
                played.wait_for_room()
                continue
            place, outcome = chance.randrange(5), chance.choice(ENDINGS)
            outcomes[played.open[place % len(played.open)]] = outcome
            played.end(place, outcome)
        played.look()
    records = played.finish()
    total = warmup + requests
    assert len(records) == total
    assert records.due.tolist() == played.plan.due_times(1000.0).tolist()
    assert records.column("phase").tolist() == [Phase.WARMUP] * warmup + [Phase.MEASURED] * requests
    assert records.outcome.tolist() == [outcomes.get(row, Outcome.ABORTED) for row in range(total)]
    assert records.stage(0).offered.tolist() == list(range(1, total + 1))
    assert records.failures == {r: f"reason of {r}" for r in range(total) if outcomes.get(r) == Outcome.FAILED}


def test_a_row_whose_last_stamp_is_missing_stays_until_it_is_there() -> None:
    played = Played(planned(200, 32))
    played.begin()
    size = played.ring.size
    for row in range(size):
        assert played.issue()
        played.end(0, Outcome.COMPLETED, stamped=row != 3)
    assert played.settled() == 3
    assert not [played.issue() for _ in range(4)][-1], "the place of the fourth is not free"
    played.ring[3][played.plan.layout.base(0) + DONE] = 4
    played.open.clear()
    played.wait_for_room()
    assert played.recorder.first > 3


def test_a_failure_whose_reason_has_not_come_yet_stays_until_it_has() -> None:
    played = Played(planned(200, 32))
    played.begin()
    for _ in range(played.ring.size):
        played.issue()
        played.end(0, Outcome.FAILED)
    late = played.failures.pop(5)
    assert played.settled() == 5
    played.failures[5] = late
    played.wait_for_room()
    assert played.finish().failures[5] == "reason of 5"


def test_of_a_request_that_ended_unstamped_the_outcome_is_aborted() -> None:
    played = Played(planned(3, 32))
    played.begin()
    for row in range(3):
        played.issue()
        played.end(0, Outcome.COMPLETED, stamped=row != 1)
    assert played.finish().outcome.tolist() == [Outcome.COMPLETED, Outcome.ABORTED, Outcome.COMPLETED]


def test_a_short_run_opens_no_file_and_no_thread() -> None:
    def refuse() -> GrowingFile:
        raise AssertionError("opened")

    played = Played(planned(100, 128), Destination(refuse, TEMPORARY.free))
    played.begin()
    while played.issue():
        played.end(0, Outcome.COMPLETED)
        played.look()
    assert len(played.finish()) == 100


class Broken(GrowingFile):
    """Takes so many bytes."""

    takes = 0

    def write(self, data: Any) -> int:
        self.takes -= len(memoryview(data).cast("B"))
        if self.takes < 0:
            raise OSError(5, "Input/output error")
        return super().write(data)


def broken(path: Path, takes: int) -> GrowingFile:
    file = Broken(path, 0)
    file.takes = takes
    return file


def test_a_file_that_cannot_be_begun_ends_the_run_and_what_lies_in_memory_is_kept(tmp_path: Path) -> None:
    played = Played(planned(200, 32), Destination(lambda: broken(tmp_path / "r", 0), TEMPORARY.free))
    played.begin()
    while played.issue():
        played.end(0, Outcome.COMPLETED)
    with pytest.raises(SaveError, match=r"cannot write the records: .*Input/output error"):
        played.wait_for_room()
    assert len(played.finish()) == played.issued == played.ring.size


def test_due_times_that_cannot_be_made_end_the_run_and_cost_no_request() -> None:
    played = Played(planned(200, 32))
    whole = played.plan.due_times(1000.0)

    def due() -> Iterator[Ints]:
        yield whole[: played.ring.size]
        raise MemoryError("no room for due times")

    played.recorder.begin(len(whole), Phase.WARMUP, 0, due())
    while played.issue():
        played.end(0, Outcome.COMPLETED)
    with pytest.raises(RunFailed, match="no room for due times"):
        played.wait_for_room()
    assert len(played.finish()) == played.issued == played.ring.size


def test_a_file_that_takes_no_more_says_so(tmp_path: Path) -> None:
    """What it held cannot be read: it has no end."""
    played = Played(planned(200, 32), Destination(lambda: broken(tmp_path / "r", 100), TEMPORARY.free))
    played.begin()
    while played.issued < 200:
        if played.issue():
            played.end(0, Outcome.COMPLETED)
        else:
            played.wait_for_room()
    with pytest.raises(SaveError, match="Input/output error"):
        played.finish()


def test_phases_and_due_times_come_back_where_the_ring_wraps() -> None:
    played = Played(planned(100, 32, warmup=40))
    played.begin()
    size = played.ring.size
    assert played.ring.rows[:, PHASE].tolist() == [Phase.WARMUP] * size
    assert played.ring.rows[:, DUE].tolist() == played.plan.due_times(1000.0)[:size].tolist()
