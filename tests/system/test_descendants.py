"""What a worker has started itself does not keep a run from ending, and does not outlive it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from harness.executors.session import execute
from tests.pipelines import plan
from tests.system.test_failures import LIMIT_S, SLACK_S, Running, gone, start  # noqa: F401

PIPELINE = """
name: own
source: {images: synthetic, height: 16, width: 16, count: 1}
load: {arrivals: constant, rate: 100/s, requests: 100000, warmup: 0}
stages:
  - preprocess: {resize: 8, crop: 8, factory: "own:FUNCTION"}
  - "null": {}
"""
OWN = """
import ctypes, gc, multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

DONE = np.zeros((3, 8, 8), np.float32)
DAEMON = "import os, time; os.fork() and os._exit(0); print(os.getpid(), flush=True); time.sleep(1000)"
POOLS = []

def pools():
    for method, count in (("fork", 2), ("spawn", 1)):
        pool = ProcessPoolExecutor(count, multiprocessing.get_context(method))
        POOLS.append(pool)
        list(pool.map(abs, range(4)))
    return lambda pixels: DONE

def started():
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON], start_new_session=True, stdout=subprocess.PIPE)
    daemon.wait()
    Path("daemon").write_text(daemon.stdout.readline().decode())
    return pools()

def hanging():
    def run(pixels):
        if run.count:
            Path("hangs").touch()
            ctypes.PyDLL(None).sleep(1000)  # with the interpreter's lock
        run.count += 1
        return DONE
    run.count = 0
    return run

def verbose():
    def run(pixels):
        if run.count:
            raise RuntimeError("of many words: " + 5_000_000 * "x" + " the last one")
        run.count += 1
        return DONE
    run.count = 0
    return run

def confused():
    supervisor, = (o for o in gc.get_objects() if type(o).__name__ == "SupervisorLink")
    supervisor.tell("request failed")
    return lambda pixels: DONE
"""


def until(condition, within_s: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begun(start, function: str, tmp_path: Path, *arguments: str) -> Running:  # type: ignore[no-untyped-def]  # noqa: F811
    (tmp_path / "run0").mkdir()
    (tmp_path / "run0" / "own.py").write_text(OWN)
    run: Running = start(PIPELINE.replace("FUNCTION", function), *arguments)
    return run


def family(run: Running) -> tuple[psutil.Process, list[psutil.Process]]:
    """The worker that has started others, and all processes of the run."""
    workers = run.wait_for_children(3)
    run.wait_for_requests()
    daemon = psutil.Process(int((run.out.parent / "daemon").read_text()))
    every = [*run.children, daemon]
    assert len(every) == 3 + 2 + 2 + 1, "two forks, one that was spawned and its resource tracker, the daemon"
    return workers[1], every


@pytest.mark.parametrize("how", ["its worker is killed", pytest.param("it is interrupted", marks=pytest.mark.slow)])
def test_a_run_whose_worker_has_started_others_ends_as_any_other(start, tmp_path: Path, how: str) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    run = begun(start, "started", tmp_path)
    worker, every = family(run)
    if how == "its worker is killed":
        worker.kill()
        code = 1
    else:
        run.process.send_signal(signal.SIGINT)
        code = 130
    assert run.end(LIMIT_S + SLACK_S) == code, run.errors
    gone(every)
    assert run.summary().status == ("failed" if code == 1 else "interrupted")


@pytest.mark.slow
def test_it_completes_too_and_leaves_none_of_them(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    run = begun(start, "started", tmp_path, "--requests", "100")
    _, every = family(run)
    assert run.end(30) == 0, run.errors
    gone(every)
    assert run.summary().requests.completed == 100


@pytest.mark.slow
@pytest.mark.parametrize("requests", ["50", "100000"])
def test_those_of_a_stage_in_this_process_end_with_the_command(start, tmp_path: Path, requests: str) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    run = begun(start, "pools", tmp_path, "--requests", requests, "--set", "executor=asyncio")
    run.wait_for_requests()
    every = run.children
    if requests == "100000":
        run.process.send_signal(signal.SIGTERM)
    assert run.end(30) == (0 if requests == "50" else 143), run.errors
    assert len(every) == 4
    gone(every)


def test_they_end_with_a_supervisor_that_is_killed(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    run = begun(start, "started", tmp_path)
    _, every = family(run)
    run.process.kill()
    run.process.wait()
    gone(every, within_s=5)


@pytest.mark.slow
def test_a_worker_that_hangs_in_native_code_ends_with_a_supervisor_that_is_killed(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    run = begun(start, "hanging", tmp_path)
    children = run.wait_for_children(3)
    until((tmp_path / "run0" / "hangs").exists)
    time.sleep(0.1)
    run.process.kill()
    run.process.wait()
    gone(children, within_s=5)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own(function: str):  # type: ignore[no-untyped-def]
    return plan(
        {"preprocess": {"resize": 8, "crop": 8, "factory": f"own:{function}"}},
        load={"arrivals": "constant", "rate": "100/s", "requests": 1000},
        source={"images": "synthetic", "height": 16, "width": 16, "count": 1},
    )


def test_a_traceback_of_megabytes_is_told_with_its_head_and_its_tail(here: Path) -> None:
    done = execute(own("verbose"))
    assert done.status == "failed" and done.error is not None
    assert done.error.what.startswith("RuntimeError: of many words: xxx")
    assert len(done.error.what) < 100_000
    assert "Traceback" in done.error.details
    assert "the last one" in done.error.details


def test_an_event_that_is_not_understood_ends_the_run_at_once(here: Path) -> None:
    begun = time.monotonic()
    done = execute(own("confused"))
    assert time.monotonic() - begun < 30  # the deadline for starting is a minute
    assert done.status == "failed" and done.error is not None
    assert "KeyError: 'reason'" in done.error.what
    assert "process s0-0" in done.error.where


@pytest.mark.slow
def test_what_a_worker_starts_inherits_none_of_its_descriptors(here: Path) -> None:
    """Nor its input, out of which it would take the supervisor's commands."""
    (here / "own.py").write_text(
        OWN
        + """
def listing():
    shown = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
    Path("shown").write_text(shown)
    return lambda pixels: DONE
"""
    )
    done = execute(own("listing"))
    assert done.status == "completed", done.error
    lines = [line.partition(" -> ") for line in (here / "shown").read_text().splitlines() if " -> " in line]
    there = {int(name.split()[-1]): to for name, _, to in lines}
    assert there[0] == "/dev/null"
    own_fd = [fd for fd, to in there.items() if to.startswith("/proc/")]  # of ls itself
    assert set(there) <= {0, 1, 2, *own_fd}, there
