"""Real processes really killed: the run ends, says why, saves what it has, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image

from harness import store
from harness.records import Outcome
from harness.summary import Summary
from tests.properties import some

LIMIT_S = 2.0  # from the death of a worker to the end of the run
SLACK_S = 10.0  # for summarising and saving, on a busy machine

PIPELINE = """
name: killed
load: {arrivals: poisson, rate: 300/s, requests: 100000, warmup: 10}
stages:
  - delay: {name: first, distribution: exponential, mean: 1 ms, capacity: 4}
  - delay: {name: second, mean: 2 ms, batch: {max: 3, timeout: 1 ms}, workers: 2, capacity: 3}
  - null: {name: third, capacity: 1}
"""


@dataclass
class Running:
    """A `harness run` in a session of its own, with a folder of its own for temporary files."""

    process: subprocess.Popen[bytes]
    out: Path
    temporary: Path

    @property
    def children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def wait_for_children(self, count: int) -> list[psutil.Process]:
        """The producer's process first, then the workers in the order of the stages."""
        deadline = time.monotonic() + 20
        while len(found := self.children) < count:
            assert time.monotonic() < deadline and self.process.poll() is None, "the processes did not appear"
            time.sleep(0.01)
        return sorted(found, key=lambda child: child.pid)

    def wait_for_requests(self) -> None:
        self.wait_for(b"running")

    def wait_for(self, phase: bytes) -> None:
        """Until the live lines on standard error name a phase."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if phase in line:
                return
        raise AssertionError(f"it never was {phase!r}")

    def end(self, within_s: float) -> int:
        _, self.errors = self.process.communicate(timeout=within_s)
        return self.process.returncode

    def summary(self) -> Summary:
        (saved,) = store.list_runs(self.out)
        summary = saved.summary
        counts = summary.requests
        assert counts.issued == counts.completed + counts.failed + counts.dropped
        assert (saved.records.outcome != Outcome.PENDING).all()
        return summary


def shared_memory() -> set[Path]:
    return set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()


@pytest.fixture
def start(tmp_path: Path) -> Iterator:  # type: ignore[type-arg]
    runs: list[Running] = []
    before = shared_memory()

    def begin(text: str = PIPELINE, *arguments: str) -> Running:
        number = len(runs)
        folder = tmp_path / f"run{number}"
        temporary = folder / "tmp"
        temporary.mkdir(parents=True)
        (folder / "scenario.yaml").write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", "scenario.yaml", "--out", "out", "--json", "-", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(temporary)},
            start_new_session=True,
        )
        runs.append(Running(process, folder / "out", temporary))
        return runs[-1]

    yield begin
    for run in runs:
        left = run.children
        if run.process.poll() is None:
            run.process.kill()
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for stream in (run.process.stdout, run.process.stderr):
            if stream is not None:
                stream.close()
        run.process.wait()
        left_files = [p for p in run.temporary.iterdir() if not p.name.startswith("torchinductor")]  # torch's own cache
        assert not left_files, "temporary files are left"
    deadline = time.monotonic() + 10  # a semaphore that another program makes has a name for a moment
    while shared_memory() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shared_memory() <= before, "shared memory is left"


def gone(children: list[psutil.Process], within_s: float = 5.0) -> None:
    """Every process has ended; one whose parent is gone may stay a zombie until init takes notice."""
    _, left = psutil.wait_procs(children, timeout=within_s)
    alive = [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"still there: {alive}"


@pytest.mark.parametrize("attempt", some(range(30), few=1))
def test_a_process_killed_at_a_random_moment_ends_the_run(start, attempt: int) -> None:  # type: ignore[no-untyped-def]
    """From before it has imported anything to the middle of serving; producer or worker."""
    chance = random.Random(attempt)
    run = start()
    children = run.wait_for_children(5)
    victim = chance.choice(children)
    time.sleep(chance.uniform(0, 1.5))
    killed = time.monotonic()
    victim.kill()
    assert run.end(LIMIT_S + SLACK_S) == 1
    assert time.monotonic() - killed < LIMIT_S + SLACK_S
    gone(children)
    assert b"SIGKILL" in run.errors
    assert b"Traceback" not in run.errors
    summary = run.summary()
    assert summary.status == "failed"
    assert summary.validity == "invalid"


def test_a_killed_worker_is_named_with_the_requests_it_held(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE.replace("mean: 1 ms", "mean: 500 ms"))
    children = run.wait_for_children(5)
    run.wait_for_requests()
    time.sleep(1)
    children[1].kill()
    assert run.end(LIMIT_S + SLACK_S) == 1
    assert b"stage first, process first-0" in run.errors
    assert b"request" in run.errors
    failure = next(run.out.rglob("failure.txt")).read_text()
    assert "SIGKILL" in failure


def test_a_crash_in_native_code_leaves_its_traceback_in_the_run(start) -> None:  # type: ignore[no-untyped-def]
    run = start()
    children = run.wait_for_children(5)
    run.wait_for_requests()
    children[1].send_signal(signal.SIGSEGV)
    assert run.end(LIMIT_S + SLACK_S) == 1
    assert b"SIGSEGV" in run.errors
    assert "Segmentation fault" in next(run.out.rglob("failure.txt")).read_text()


@pytest.mark.parametrize("executor", ["process", "asyncio"])
@pytest.mark.parametrize("attempt", some(range(5), few=1))
def test_ctrl_c_at_a_random_moment_saves_and_ends(start, attempt: int, executor: str) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE, "--set", f"executor={executor}")
    chance = random.Random(100 + attempt)
    run.wait_for(b"running" if attempt else b"starting")
    time.sleep(chance.uniform(0.0, 1.0))
    children = run.children
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.end(LIMIT_S + SLACK_S) == 130
    gone(children)
    summary = run.summary()
    assert summary.status == "interrupted"
    assert attempt == 0 or summary.requests.completed > 0


def test_sigterm_ends_it_the_same_way(start) -> None:  # type: ignore[no-untyped-def]
    run = start()
    children = run.wait_for_children(5)
    run.wait_for_requests()
    run.process.terminate()
    assert run.end(LIMIT_S + SLACK_S) == 143
    gone(children)
    assert run.summary().status == "interrupted"


@pytest.mark.parametrize("moment_s", some([0.3, 0.0, 1.5], few=1))
def test_when_the_supervisor_is_killed_its_processes_end_too(start, moment_s: float) -> None:  # type: ignore[no-untyped-def]
    run = start()
    children = run.wait_for_children(5)
    time.sleep(moment_s)
    run.process.kill()
    run.process.wait()
    gone(children, within_s=10)


def test_a_worker_that_hangs_meets_the_progress_deadline(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE + "deadlines: {progress: 1 s}\n")
    children = run.wait_for_children(5)
    run.wait_for_requests()
    children[-1].suspend()
    assert run.end(1 + LIMIT_S + SLACK_S) == 1
    gone(children)
    assert b"no request ended for 1 s" in run.errors
    assert run.summary().requests.aborted > 0


@pytest.mark.slow
def test_a_producer_that_hangs_meets_it_too(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE + "deadlines: {progress: 1 s}\n")
    children = run.wait_for_children(5)
    run.wait_for_requests()
    children[0].suspend()
    assert run.end(1 + LIMIT_S + SLACK_S) == 1
    gone(children)


def test_images_that_cannot_be_read_in_time_meet_the_start_up_deadline(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A pipe that nobody writes to, named as a picture, is one such."""
    os.mkfifo(tmp_path / "picture.jpg")
    run = start(
        f"""
name: slow
source: {{images: "{tmp_path}/p*.jpg"}}
load: {{arrivals: closed, requests: 1}}
deadlines: {{startup: 1 s}}
stages: [{{preprocess: {{resize: 40, crop: 32}}}}]
"""
    )
    assert run.end(1 + LIMIT_S + SLACK_S) in (1, 2)
    assert b"Traceback" not in run.errors


@pytest.mark.slow
def test_a_run_outlives_the_reader_of_its_live_view(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE, "--requests", "200")
    run.wait_for_requests()
    run.process.stderr.close()
    output = run.process.stdout.read()
    assert run.process.wait(20) == 0
    assert json.loads(output)["requests"]["completed"] == 200


@pytest.mark.slow
def test_requests_that_all_fail_make_no_valid_run(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "images").mkdir()
    good = tmp_path / "good.jpg"
    Image.effect_noise((300, 300), 80).convert("RGB").save(good)
    whole = good.read_bytes()
    (tmp_path / "images" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    run = start(
        f"""
name: hopeless
source: {{images: {tmp_path / "images"}, as: encoded}}
load: {{arrivals: constant, rate: 200/s, requests: 20, warmup: 0}}
slo: {{p99: 1 s}}
stages: [{{preprocess: {{resize: 40, crop: 32}}}}]
"""
    )
    assert run.end(30) == 3, "a limit on latency is not met by requests that fail"
    assert run.summary().validity == "invalid"


@pytest.mark.slow
def test_a_worker_that_never_gets_ready_meets_the_start_up_deadline(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE + "deadlines: {startup: 2 s}\n")
    children = run.wait_for_children(5)
    children[2].suspend()
    assert run.end(2 + LIMIT_S + SLACK_S) == 1
    gone(children)
    assert b"not every worker was ready after 2 s" in run.errors


@pytest.mark.parametrize("form", some(["encoded", "raw"], few=1))
def test_a_corrupt_image_fails_its_requests_and_the_run_goes_on(start, tmp_path: Path, form: str) -> None:  # type: ignore[no-untyped-def]
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        Image.new("RGB", (90, 80), (number * 80, 20, 60)).save(images / f"good{number}.jpg")
    whole = (images / "good0.jpg").read_bytes()
    (images / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "text.jpg").write_text("not an image")
    run = start(
        f"""
name: corrupt
source: {{images: {images}, as: {form}}}
load: {{arrivals: constant, rate: 100/s, requests: 50, warmup: 0}}
stages: [{{preprocess: {{resize: 40, crop: 32}}}}]
"""
    )
    assert run.end(60) == 0, run.errors
    summary = run.summary()
    assert summary.requests.completed == 30
    assert summary.requests.failed == 20
    assert sum(summary.failures.values()) == 20
    assert len(summary.failures) == 2


@pytest.mark.slow
def test_what_a_stage_refuses_at_start_up_is_a_bad_scenario(start) -> None:  # type: ignore[no-untyped-def]
    run = start(
        """
name: refused
source: {images: synthetic, height: 40, width: 40, count: 1}
load: {arrivals: closed, requests: 1}
stages:
  - preprocess: {resize: 32, crop: 32}
  - inference: {model: resnet19}
"""
    )
    assert run.end(60) == 2
    assert b"no classification model 'resnet19'" in run.errors
    assert b"Traceback" not in run.errors


@pytest.mark.slow
def test_json_on_standard_output_is_the_summary_and_nothing_else(start) -> None:  # type: ignore[no-untyped-def]
    run = start(PIPELINE, "--requests", "50")
    output, _ = run.process.communicate(timeout=30)
    assert json.loads(output)["requests"]["completed"] == 50
