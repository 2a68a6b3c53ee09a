"""The producer has precedence while it waits for a due time, as this user may have it, and nobody else has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from harness.executors.process import punctual
from harness.executors.process.punctual import WAYS, Precedence
from harness.executors.progress import Progress
from harness.executors.session import execute
from harness.host.scheduling import Scheduling, ask, current
from tests.pipelines import plan, run

pytestmark = pytest.mark.skipif(current() is None, reason="this system does not tell how a thread is scheduled")


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What it returns; the calling thread stays as it is."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def allowed(ways: tuple[Scheduling, ...] = WAYS[:1]) -> dict[str, Any]:
    return in_a_thread(lambda: Precedence(ways).effective)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.policy}, nice {way.nice}")
def test_what_is_asked_for_is_what_the_kernel_then_says_or_it_is_refused(way: Scheduling) -> None:
    def asked() -> tuple[bool, Scheduling | None, bool, Scheduling | None]:
        return ask(way), current(), ask(Scheduling()), current()

    before = current()
    granted, found, back, afterwards = in_a_thread(asked)
    if not granted:
        pytest.skip("this user or kernel has no such thing")
    assert found == way
    assert back and afterwards == before == current()


def test_a_thread_that_somebody_made_nicer_stays_so() -> None:
    def nicer() -> tuple[Scheduling | None, Scheduling | None]:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        before, precedence = current(), Precedence()
        precedence.take()
        return before, current()

    before, after = in_a_thread(nicer)
    assert before.nice == 5
    assert after == before


@pytest.mark.parametrize("ways", [WAYS[:1], WAYS[1:]], ids=["real time", "milder"])
def test_the_producer_alone_is_scheduled_so_while_it_waits_and_the_run_says_how(
    ways: tuple[Scheduling, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(punctual, "WAYS", ways)
    policies: dict[str, set[int]] = defaultdict(set)

    def look(progress: Progress) -> None:
        if progress.phase == "running" and progress.ended:
            for child in psutil.Process().children():
                module = next((word for word in child.cmdline() if word.startswith("harness.executors.process.")), "")
                policies[module].add(os.sched_getscheduler(child.pid) & ~os.SCHED_RESET_ON_FORK)

    load = {"arrivals": "constant", "rate": "50/s", "requests": 20}
    execution = execute(plan({"null": {"workers": 2}}, load=load), look, 0.02)
    assert execution.status == "completed"
    told = execution.workers[0].effective["scheduling"]
    assert told == {**allowed(ways), "share": 1.0}
    assert policies["harness.executors.process.worker"] == {os.SCHED_OTHER}
    assert getattr(os, told["policy"]) in policies["harness.executors.process.producer"]


def test_a_producer_that_never_sleeps_gives_its_precedence_up() -> None:
    """20 us between requests: less than it spins before each."""
    load = {"arrivals": "constant", "rate": "50000/s", "requests": 20_000}
    told = run({"null": {}}, load=load).workers[0].effective["scheduling"]
    assert 0 < told["share"] < 0.1


SPINS = """
    from harness.clock import now_ns
    from harness.executors.process.punctual import WAYS, Precedence

    precedence, end = Precedence(WAYS[:1]), now_ns() + 3 * 10**9
    precedence.take()
    while now_ns() < end:
        pass
"""


@pytest.mark.skipif(allowed().get("policy") != "SCHED_FIFO", reason="this user may not have SCHED_FIFO")
def test_a_real_time_producer_that_hangs_is_ended_by_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(SPINS)], timeout=60, capture_output=True)
    assert done.returncode == -signal.SIGXCPU


@pytest.mark.skipif(allowed().get("policy") != "SCHED_FIFO", reason="this user may not have SCHED_FIFO")
def test_real_time_is_for_a_producer_that_is_late_with_more_than_one_request_in_two_hundred() -> None:
    def policies() -> Iterator[str]:
        precedence = Precedence()
        precedence.take()
        precedence.was_late(1)
        yield precedence.effective["policy"]
        precedence.was_late(1000)
        yield precedence.effective["policy"]
        for requests in range(3, 10):
            precedence.was_late(200 * requests)
        yield precedence.effective["policy"]
        precedence.was_late(1800)
        yield precedence.effective["policy"]
        now = current()
        assert now is not None
        yield now.policy
        precedence.leave()

    found = in_a_thread(lambda: list(policies()))
    assert found == ["SCHED_OTHER"] * 3 + ["SCHED_FIFO"] * 2


UNPRIVILEGED = """
    import os
    from harness.executors.process.punctual import Precedence
    from harness.host.scheduling import current

    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    precedence = Precedence()
    precedence.take()
    print(precedence.effective["policy"], precedence.effective["nice"], current().slice_us)
    precedence.leave()
    print(current().slice_us)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="drops the privileges of root")
def test_a_user_without_privileges_gets_a_short_slice_where_the_kernel_has_them() -> None:
    usual = current()
    assert usual is not None
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED)], timeout=60, capture_output=True, text=True, check=True
    )
    there = 100.0 if usual.slice_us else 0.0
    assert done.stdout.splitlines() == [f"SCHED_OTHER 0 {there}", str(usual.slice_us)]
