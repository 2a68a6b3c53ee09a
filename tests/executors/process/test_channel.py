"""The pipes behind a channel: they take every slot number at any time, or the run is refused before it starts."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.executors.process.channel import MOST_AT_ONCE, TOKEN, Channel, pages_needed
from harness.records import Outcome
from tests.pipelines import run

linux = pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="the pages of a pipe are Linux's")
PAGE = os.sysconf("SC_PAGE_SIZE")


@linux
@settings(max_examples=60, deadline=None)
@given(
    at_once=st.sampled_from([1, 2, 3, 100, 255, MOST_AT_ONCE]),
    pages=st.sampled_from([2, 4, 8]),
    moves=st.lists(st.tuples(st.integers(1, 2000), st.integers(1, MOST_AT_ONCE)), max_size=60),
)
def test_a_pipe_of_as_many_pages_as_needed_refuses_no_write(
    at_once: int, pages: int, moves: list[tuple[int, int]]
) -> None:
    """As many numbers as so many pages are said to be enough for; some are read, as many are written, in any groups."""
    tokens = 2 + ((pages - 1) * (PAGE - (at_once - 1) * TOKEN) - 1) // TOKEN
    assert pages_needed(tokens, at_once, PAGE) == pages
    read_fd, write_fd = os.pipe()
    try:
        fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, pages * PAGE)
        os.set_blocking(write_fd, False)
        os.write(write_fd, bytes(tokens * TOKEN))
        for taken, group in moves:
            returned = len(os.read(read_fd, taken * TOKEN)) // TOKEN
            while returned:
                numbers = min(returned, group, at_once)
                assert os.write(write_fd, bytes(numbers * TOKEN)) == numbers * TOKEN  # else BlockingIOError
                returned -= numbers
    finally:
        os.close(read_fd)
        os.close(write_fd)


@pytest.mark.parametrize(("capacity", "receivers"), [(1, 1), (16, 2), (4096, 1), (15_361, 2), (16_384, 1)])
def test_a_channel_takes_back_every_slot_whatever_has_been_read(capacity: int, receivers: int) -> None:
    """One slot out, one slot back, round the whole pipe: its first page is nearly always read in part."""
    channel = Channel("s0", capacity, None, 1, receivers)
    os.set_blocking(channel.receiver.write_fd, False)
    for _ in range(2 * PAGE // TOKEN):
        slot = os.read(channel.sender.read_fd, TOKEN)
        os.write(channel.receiver.write_fd, slot)
    channel.close()


def test_two_workers_and_the_largest_capacity_behind_them_do_not_deadlock() -> None:
    execution = run(
        {"null": {"workers": 2}},
        {"null": {"capacity": 16_384}},
        load={"arrivals": "closed", "concurrency": 4, "requests": 200},
        deadlines={"progress": "5 s"},
    )
    assert (execution.records.outcome == Outcome.COMPLETED).all()
    scheduling = execution.workers[0].effective["scheduling"]
    assert scheduling["share"] is None, "a producer without due times takes no precedence"


CAPPED = """
    import fcntl, os
    from harness.errors import ScenarioError
    from harness.executors.process.channel import Channel, make_room, roomy_pipe

    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    held, limit = [], int(open("/proc/sys/fs/pipe-user-pages-soft").read())
    try:
        while len(held) < 200:
            held.append(os.pipe())
            fcntl.fcntl(held[-1][1], fcntl.F_SETPIPE_SZ, 2**20)
    except OSError:
        pass
    else:
        raise SystemExit("this user's pipes have no limit")
    while fcntl.fcntl(os.pipe()[1], fcntl.F_GETPIPE_SZ) > 2 * os.sysconf("SC_PAGE_SIZE"):
        pass

    def refused(make):
        before = len(os.listdir("/proc/self/fd"))
        try:
            make()
        except ScenarioError as error:
            print(error)
        assert len(os.listdir("/proc/self/fd")) == before, "descriptors are left"

    usual = Channel("usual", 16, None, 1, 1)
    usual.close()
    refused(lambda: Channel("long", 4096, None, 1, 1))
    refused(lambda: roomy_pipe(16_384, 1, "load.concurrency"))
    one_page = os.pipe()[1]
    fcntl.fcntl(one_page, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGE_SIZE"))
    refused(lambda: make_room(one_page, 16, 4, "stages.one_page.capacity"))
"""


@linux
def test_a_user_whose_pipes_are_full_is_told_so_before_the_run() -> None:
    """Beyond the limit a new pipe has a page or two: enough for the usual capacity, refused for more than they take."""
    command = [sys.executable, "-c", textwrap.dedent(CAPPED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "no limit" in done.stderr:
        pytest.skip("this user's pipes have no limit")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "needs pipes of" in line]
    assert [line.partition(":")[0] for line in said] == [
        "stages.long.capacity",
        "load.concurrency",
        "stages.one_page.capacity",
    ]
    assert "4,096 needs pipes of" in said[0]
    assert done.stdout.count("pipe-user-pages-soft") == 3
