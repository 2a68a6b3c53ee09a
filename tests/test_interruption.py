"""A signal, or a second one, at whatever moment, costs no run and shows no traceback."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import store
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Progress
from harness.executors.session import execute
from harness.interruption import SIGNALS, held
from harness.studies.run import measure as measuring
from harness.studies.run.measure import measure
from tests.pipelines import plan
from tests.system.test_failures import LIMIT_S, PIPELINE, SLACK_S, gone, start  # noqa: F401

ENDLESS = {"arrivals": "constant", "rate": "200/s", "requests": 100_000}
SHORT = {"arrivals": "closed", "requests": 20}


@pytest.fixture(autouse=True)
def handlers() -> Any:
    """Whatever a test does, signals do afterwards what they did before."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    after = [signal.getsignal(number) for number in SIGNALS]
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
    assert after == before


# ------------------------------------------------------------------ held


def test_what_came_and_was_not_taken_takes_effect_behind_the_outermost() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), held():
        with held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            steps.append("inner")
        steps.append("outer")
    assert steps == ["inner", "outer"]


def test_what_was_taken_does_not_and_the_first_counts() -> None:
    with held() as interruption:
        assert interruption.take() == 0
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert interruption.take() == signal.SIGHUP


def test_a_listener_is_told_of_every_signal_and_at_once_of_one_that_has_come() -> None:
    told = []
    with held() as interruption:
        signal.raise_signal(signal.SIGTERM)
        with interruption.listening(lambda: told.append(True)):
            assert len(told) == 1
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        interruption.take()
    assert len(told) == 2


# ------------------------------------------------------------------ a run


def once(action: Callable[[], None]) -> Callable[[Progress], None]:
    """An observer that acts when requests have ended."""
    done: list[bool] = []

    def observe(progress: Progress) -> None:
        if progress.phase == "running" and progress.ended and not done:
            done.append(True)
            action()

    return observe


@pytest.mark.parametrize("executor", ["process", "asyncio"])
@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_interrupts_a_run(executor: str, number: signal.Signals) -> None:
    endless = plan({"null": {}}, load=ENDLESS, executor=executor)
    found = execute(endless, once(lambda: os.kill(os.getpid(), number)), observe_every_s=0.01)
    assert (found.status, found.signal) == ("interrupted", number)
    assert len(found.records) < 100_000


def test_one_that_is_ignored_stays_ignored() -> None:
    """As `nohup` has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        short = plan({"null": {}}, load={**SHORT, "requests": 2000}, executor="asyncio")
        found = execute(short, once(lambda: os.kill(os.getpid(), signal.SIGHUP)), observe_every_s=0.01)
        assert found.status == "completed"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(OpenPipeline, "stop"), (OpenPipeline, "execution"), (measuring, "summarise_run"), (store.records, "save")],
)
@pytest.mark.parametrize("interrupted", [False, True])
def test_signals_wait_from_the_end_of_the_load_until_the_run_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, interrupted: bool
) -> None:
    """Two of them, before and behind each of the steps, whether a first one has ended the load or not."""
    step = getattr(owner, name)

    def between_signals(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        result = step(*arguments)
        signal.raise_signal(signal.SIGTERM)
        return result

    monkeypatch.setattr(owner, name, between_signals)
    end = once(lambda: os.kill(os.getpid(), signal.SIGHUP)) if interrupted else lambda progress: None
    asked = plan({"null": {}}, load=ENDLESS if interrupted else SHORT, executor="asyncio")
    done = measure(asked, "", tmp_path, end)
    status, first = ("interrupted", signal.SIGHUP) if interrupted else ("completed", signal.SIGINT)
    assert done.signal == first
    (saved,) = store.list_runs(tmp_path)
    assert saved.summary.status == status
    assert len(saved.records) == len(done.execution.records) > 0


def test_a_signal_between_the_last_request_and_the_end_of_the_workers_hurries_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that takes long to close is not waited for, and the run is a completed one."""
    (tmp_path / "late.py").write_text(
        "import atexit, time\nimport numpy as np\n"
        "def make():\n    atexit.register(time.sleep, 60)\n    return lambda pixels: np.zeros((3, 8, 8), np.float32)\n"
    )
    monkeypatch.chdir(tmp_path)
    asked = plan(
        {"preprocess": {"resize": 8, "crop": 8, "factory": "late:make"}},
        load=SHORT,
        source={"images": "synthetic", "height": 16, "width": 16, "count": 1},
    )
    stop = OpenPipeline.stop
    ended_s: list[float] = []

    async def stopping(pipeline: OpenPipeline, hurry: Any) -> None:
        asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGINT)
        begun = time.monotonic()
        await stop(pipeline, hurry)
        ended_s.append(time.monotonic() - begun)

    monkeypatch.setattr(OpenPipeline, "stop", stopping)
    done = measure(asked, "", tmp_path)
    assert (done.execution.status, done.signal) == ("completed", signal.SIGINT)
    assert ended_s[0] < 4, "as long as it would have waited without the signal, and more"


# ------------------------------------------------------------------ the command

BEGUN = """
import atexit, os, sys
_, FILE, MODULE, NUMBER = sys.argv
"""
AT_IMPORT = """
class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            os.kill(os.getpid(), int(NUMBER))
sys.meta_path.insert(0, Signalling())
"""
AT_EXIT = """
class Registering:
    def find_spec(self, name, path=None, target=None):
        if name == "harness.commands":  # when the command has begun: these functions are called backwards
            atexit.register(lambda: os.kill(os.getpid(), int(NUMBER)))
sys.meta_path.insert(0, Registering())
"""
THEN = """
from harness.__main__ import main
sys.argv = ["harness", "validate", FILE]
main()
"""
SCENARIO = "name: x\nload: {arrivals: closed, requests: 1}\nstages: [{'null': {}}]\n"


@pytest.mark.parametrize(
    ("before", "module", "number"),
    [
        (AT_IMPORT, "harness.commands", signal.SIGINT),
        (AT_IMPORT, "numpy", signal.SIGINT),
        (AT_IMPORT, "yaml", signal.SIGTERM),
        (AT_IMPORT, "pydantic", signal.SIGHUP),
        (AT_EXIT, "", signal.SIGINT),
    ],
)
def test_a_signal_while_it_imports_or_exits_ends_it_without_a_traceback(
    tmp_path: Path, before: str, module: str, number: int
) -> None:
    (tmp_path / "x.yaml").write_text(SCENARIO)
    command = [sys.executable, "-c", BEGUN + before + THEN, tmp_path / "x.yaml", module, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    if before is AT_EXIT:
        assert "x.yaml" in done.stdout, "what it had to say is said"


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(12))
def test_two_signals_at_random_moments_save_the_run(start, attempt: int) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    chance = random.Random(attempt)
    executor = chance.choice(["process", "asyncio"])
    requests = chance.choice(["200", "100000"])
    run = start(PIPELINE, "--set", f"executor={executor}", "--requests", requests)
    run.wait_for_requests()
    children = run.children
    first, second = chance.choice(SIGNALS), chance.choice(SIGNALS)
    time.sleep(chance.uniform(0.0, 1.2))
    run.process.send_signal(first)
    time.sleep(chance.uniform(0.0, 0.12))
    run.process.send_signal(second)
    code = run.end(LIMIT_S + SLACK_S)
    gone(children)
    assert code in ({128 + first, 128 + second} if requests == "100000" else {0, 128 + first, 128 + second})
    assert b"Traceback" not in run.errors
    summary = run.summary()
    assert summary.status == ("interrupted" if requests == "100000" else summary.status)


@pytest.mark.parametrize("executor", ["process", pytest.param("asyncio", marks=pytest.mark.slow)])
def test_a_terminal_that_is_closed_costs_no_run(tmp_path: Path, executor: str) -> None:
    """The live view and the result have nowhere to go by then."""
    (tmp_path / "x.yaml").write_text(PIPELINE)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "harness", "run", "x.yaml", "--out", "out", "--set", f"executor={executor}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while b"queue" not in shown and b"waiting" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(LIMIT_S + SLACK_S) == 129
    (saved,) = store.list_runs(tmp_path / "out")
    assert saved.summary.status == "interrupted"


LATE = """
import os, sys, time
from harness.__main__ import main

class Late:
    def __del__(self, write=os.write, sleep=time.sleep):
        write(2, b"the last steps")
        sleep(1)

late, sys.argv = Late(), ["harness", "--version"]
main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_last_steps_of_the_interpreter_does_not_change_the_exit_code(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", LATE], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read(14) == b"the last steps"
        process.send_signal(number)
        assert process.wait(30) == 0
