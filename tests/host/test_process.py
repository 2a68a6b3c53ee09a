"""What a process did: captured files, and grown memory and waiting threads for real."""

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
from harness.host import process

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


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
