"""CPU time over the course of a run, as the report draws it."""

from __future__ import annotations

import time

import pytest

from harness.clock import now_ns
from harness.host import Timeline


def test_each_reading_after_the_first_gives_shares_that_add_up_to_one():
    timeline = Timeline()
    begun = now_ns()
    for _ in range(3):
        timeline.note()
        time.sleep(0.05)  # the kernel counts in steps of 10 ms
    found = timeline.shares()
    assert len(found["at_ns"]) == 2
    assert begun < found["at_ns"][0] < found["at_ns"][1] < now_ns()
    for user, system, idle, steal in zip(*(found[k] for k in ("user", "system", "idle", "steal")), strict=True):
        assert user + system + idle + steal == pytest.approx(1, abs=0.001)


def test_one_reading_tells_nothing():
    timeline = Timeline()
    timeline.note()
    assert timeline.shares() == {"at_ns": [], "user": [], "system": [], "idle": [], "steal": []}
