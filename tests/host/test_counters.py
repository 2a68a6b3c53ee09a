"""What the host did: captured counters, and a busy CPU and paging for real."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from harness import host
from harness.host import counters

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


STAT = """\
cpu  5990 7 2284 123924 187 3 27 21 50 0
cpu0 400 3 604 65133 20 1 6 9 0 0
cpu1 5590 4 1680 58791 167 2 21 12 50 0
intr 12345 0 1 2
ctxt 236192
btime 1795455766
"""


def test_ticks_are_summed_over_the_given_cpus():
    assert counters.cpu_ticks(STAT, [1]) == (5590, 4, 1680, 58791, 167, 2, 21, 12)
    assert counters.cpu_ticks(STAT, [0, 1]) == (5990, 7, 2284, 123924, 187, 3, 27, 21)
    assert counters.cpu_ticks(STAT, None) == counters.cpu_ticks(STAT, [0, 1])
    assert counters.cpu_ticks(STAT, [7]) is None


def test_shares_add_up_to_one_and_guest_time_is_not_counted_twice():
    shares = counters.cpu_shares((0,) * 8, (30, 10, 12, 30, 10, 1, 2, 5))
    assert shares == {"user": 0.4, "system": 0.15, "idle": 0.4, "steal": 0.05}


def test_a_counter_that_steps_back_counts_as_no_growth():
    shares = counters.cpu_shares((0, 0, 0, 100, 50, 0, 0, 0), (10, 0, 0, 190, 49, 0, 0, 0))
    assert shares == {"user": 0.1, "system": 0.0, "idle": 0.9, "steal": 0.0}


def test_throttled_time_of_both_versions():
    assert counters.throttled_s("nr_periods 9\nnr_throttled 2\nthrottled_time 1500000000\n") == 1.5
    assert counters.throttled_s("usage_usec 9\nnr_throttled 2\nthrottled_usec 2500000\n") == 2.5
    assert counters.throttled_s("") is None


def test_an_interval_between_two_captured_moments(tree):
    group = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
    }
    before = {"proc/stat": STAT, "proc/vmstat": "pswpin 1\npswpout 2\npgmajfault 433\n"}
    throttling = "sys/fs/cgroup/cpu.stat"
    earlier = host.Counters.snapshot(tree({**group, **before, throttling: "throttled_usec 1000\n"}), [0])
    after = STAT.replace("cpu0 400 3 604 65133 20 1 6 9", "cpu0 430 3 614 65183 20 1 6 19").replace("236192", "236292")
    paging = "pswpin 4\npswpout 12\npgmajfault 440\n"
    later = host.Counters.snapshot(
        tree({"proc/stat": after, "proc/vmstat": paging, throttling: "throttled_usec 251000\n"}), [0]
    )
    found = later.since(earlier)
    assert (found.user, found.system, found.idle, found.steal) == (0.3, 0.1, 0.5, 0.1)
    assert (found.major_faults, found.pages_swapped_in, found.pages_swapped_out) == (7, 3, 10)
    assert found.context_switches == 100
    assert found.throttled_s == pytest.approx(0.25)
    assert 0 < found.seconds < 60


def test_an_interval_of_a_system_without_counters(tmp_path):
    found = host.Counters.snapshot(tmp_path).since(host.Counters.snapshot(tmp_path))
    assert (found.user, found.steal, found.context_switches, found.throttled_s) == (None, None, None, None)


@linux
def test_a_busy_cpu_shows_as_user_time_and_sleeping_as_switches():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            cpus = host.affinity()
            earlier = host.Counters.snapshot()
            for _ in range(100):
                time.sleep(0.005)
            found = host.Counters.snapshot().since(earlier)
        finally:
            busy.kill()
    assert found.user > 0.5 / len(cpus)
    assert found.user + found.system + found.idle + found.steal == pytest.approx(1.0)
    assert found.context_switches >= 100
    assert 0.5 < found.seconds < 30


@linux
def test_sample_sleeps_for_its_length():
    assert 0.2 <= host.sample(0.2).seconds < 5
