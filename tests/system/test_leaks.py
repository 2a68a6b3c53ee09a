"""However a run ends, this process has as many threads, descriptors and mappings afterwards as before it."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.executors.base import Execution
from harness.executors.session import execute
from harness.plan import Plan
from tests.pipelines import plan

both = pytest.mark.parametrize("executor", ["process", "asyncio"])
IMAGES = {"images": "synthetic", "height": 64, "width": 64, "count": 4}
CLOSED = {"arrivals": "closed", "requests": 20, "concurrency": 2}
OWN = """
import os, threading, time
import numpy as np
DONE = np.zeros((3, 8, 8), np.float32)

def fine():
    return lambda pixels: DONE

def failing():
    raise ValueError("not today")

def leaving():
    raise SystemExit("it leaves")

def interrupting():
    def run(pixels):
        if run.count:
            raise KeyboardInterrupt("of its own")
        run.count += 1
        return DONE
    run.count = 0
    return run

def stopping():
    def run(pixels):
        if run.count:
            raise StopIteration("it stops")
        run.count += 1
        return DONE
    run.count = 0
    return run

def hanging():
    def run(pixels):
        if run.count:
            time.sleep(1000)
        run.count += 1
        return DONE
    run.count = 0
    return run
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaky.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)


def held() -> tuple[list[str], list[str], list[str]]:
    """Names of threads, what descriptors refer to, and mappings of shared memory of ours."""
    gc.collect()
    threads = sorted(thread.name for thread in threading.enumerate())
    files = []
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - it holds no descriptor while this looks at each
        with contextlib.suppress(FileNotFoundError):
            files.append(os.readlink(f"/proc/self/fd/{fd}").partition(":[")[0])  # noqa: PTH115
    files.sort()
    maps = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "harness-" in line]
    return threads, files, maps


def settled(before: tuple[list[str], list[str], list[str]]) -> tuple[list[str], list[str], list[str]]:
    """What is held, when a thread that ends has had a moment for it."""
    deadline = time.monotonic() + 5
    while (now := held()) != before and time.monotonic() < deadline:
        time.sleep(0.01)
    return now


def asked(executor: str, function: str = "fine", **keys: object) -> Plan:
    stages = {"preprocess": {"resize": 8, "crop": 8, "workers": 2, "factory": f"leaky:{function}"}}, {"null": {}}
    return plan(*stages, load=CLOSED, source=IMAGES, executor=executor, **keys)


def leaves_nothing(resolve: Callable[[], Plan], ends: str, says: str = "") -> Execution:
    """The first run may import what it needs; two more leave exactly what was there before them."""
    execute(resolve())
    alone = [thread.name for thread in threading.enumerate() if not thread.name.startswith(("images", "s0-", "s1-"))]
    deadline = time.monotonic() + 5
    while (before := held())[0] != sorted(alone) and time.monotonic() < deadline:
        time.sleep(0.01)  # images that come too late are still being made
    kept = []  # what a run returns holds nothing either
    for _ in range(2):
        kept.append(execute(resolve()))
    assert [done.status for done in kept] == [ends] * 2
    assert says in str(kept[-1].error)
    assert settled(before) == before
    return kept[-1]


@both
def test_a_run_that_completes(executor: str) -> None:
    leaves_nothing(lambda: asked(executor), "completed")


@both
def test_a_stage_that_fails_to_open(executor: str) -> None:
    leaves_nothing(lambda: asked(executor, "failing"), "failed", "not today")


@both
@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("leaving", "SystemExit: it leaves"),
        pytest.param("interrupting", "KeyboardInterrupt: of its own", marks=pytest.mark.slow),
        pytest.param("stopping", "StopIteration: it stops", marks=pytest.mark.slow),
    ],
)
def test_a_stage_that_raises_what_ends_processes_and_loops(executor: str, function: str, says: str) -> None:
    leaves_nothing(lambda: asked(executor, function), "failed", says)


@pytest.mark.slow
@both
def test_a_start_that_takes_too_long(executor: str) -> None:
    leaves_nothing(lambda: asked(executor, deadlines={"startup": "1 ms"}), "failed", "not ")


@both
@pytest.mark.parametrize("spare", [3, 12])
def test_a_start_that_runs_out_of_descriptors(executor: str, spare: int) -> None:
    execute(asked(executor))
    before = held()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before[1]) + 4 + spare, hard))
    try:
        done = execute(asked(executor))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if executor == "process":
        assert done.status == "failed"
        assert "open files" in str(done.error)
    assert settled(before) == before


def test_a_stage_that_hangs_does_not_hold_the_end_of_the_run() -> None:
    begun = time.monotonic()
    done = execute(asked("asyncio", "hanging", deadlines={"progress": "300 ms"}))
    assert done.status == "failed" and "no request ended" in str(done.error)
    assert time.monotonic() - begun < 20
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("s0-")]
    assert left, "a thread cannot be killed"
    assert all(thread.daemon for thread in threading.enumerate() if thread.name in left)
