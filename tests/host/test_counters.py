"""What the host and a process did: captured counters, and a busy CPU, grown memory and waiting threads for real."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from harness import host
from harness.host import counters, process

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


def test_cpu_time_of_a_process_whose_name_holds_brackets():
    stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 100 0 0"
    assert process.cpu_s(stat, 100) == 2.0


@linux
def test_memory_growth_of_a_process_shows_by_its_kind():
    before = host.process_usage(os.getpid())
    private = mmap.mmap(-1, 40_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    private.write(b"x" * 40_000_000)
    shared = mmap.mmap(-1, 100_000_000)
    shared.write(b"x" * 100_000_000)
    during = host.process_usage(os.getpid())
    assert during.anon_mb - before.anon_mb == pytest.approx(40, abs=3)
    assert during.shmem_mb - before.shmem_mb == pytest.approx(100, abs=1)
    assert during.rss_mb - before.rss_mb == pytest.approx(140, abs=4)
    private.close()
    shared.close()
    after = host.process_usage(os.getpid())
    assert after.rss_mb < during.rss_mb - 130
    assert after.peak_rss_mb >= during.rss_mb - 1


@linux
def test_usage_agrees_with_psutil():
    found, same = host.process_usage(os.getpid()), psutil.Process()
    assert found.rss_mb == pytest.approx(same.memory_info().rss / 1e6, rel=0.05)
    assert found.threads == same.num_threads()
    assert found.cpu_s == pytest.approx(sum(same.cpu_times()[:2]), abs=0.1)
    assert found.voluntary_switches == pytest.approx(same.num_ctx_switches().voluntary, abs=20)


@linux
def test_waiting_counts_as_voluntary_switches_of_the_threads_asked_for():
    stop = threading.Event()

    def sleep_often() -> None:
        for _ in range(200):
            time.sleep(0.0005)
        stop.wait()

    before = host.process_usage(os.getpid(), every_thread=True)
    thread = threading.Thread(target=sleep_often)
    thread.start()
    time.sleep(0.5)
    main, every = host.process_usage(os.getpid()), host.process_usage(os.getpid(), every_thread=True)
    stop.set()
    thread.join()
    assert every.threads == before.threads + 1
    assert every.voluntary_switches - before.voluntary_switches >= 200
    assert every.voluntary_switches - main.voluntary_switches >= 150


@linux
def test_a_process_that_has_ended_has_no_usage():
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert host.process_usage(ended.pid) is None  # not yet waited for
    ended.wait()
    assert host.process_usage(ended.pid) is None


@linux
def test_psutil_stands_in_where_there_is_no_proc():
    found = process._from_psutil(os.getpid())
    assert found.rss_mb == pytest.approx(host.process_usage(os.getpid()).rss_mb, rel=0.05)
    assert found.anon_mb is None
    assert process._from_psutil(2**22 + 1) is None


@linux
def test_reading_is_cheap_enough_for_ten_times_a_second():
    def best_us(read) -> float:
        costs = []
        for _ in range(200):
            begun = time.perf_counter_ns()
            read()
            costs.append(time.perf_counter_ns() - begun)
        return min(costs) / 1e3

    assert best_us(lambda: host.process_usage(os.getpid())) < 500
    assert best_us(host.Counters.snapshot) < 2000
