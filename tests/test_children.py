"""A child is heard to its last word and judged by it, whoever holds it: a loop that watches, or a caller that waits."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.children.blocking import BlockingChild
from harness.children.process import OUTPUT_BYTES, ChildProcess
from harness.children.verdict import verdict
from harness.children.watched import WatchedChild
from harness.errors import HarnessError, RunFailed, ScenarioError, StageFailed
from harness.lifeline import new_mark

CHILD = """
import os, signal, subprocess, sys, time
from harness.children.link import SupervisorLink
from harness.errors import ScenarioError, StageFailed

def main():
    link = SupervisorLink()
    with link.reporting_errors():
        exec(link.instructions.code, {**globals(), "link": link})
"""
MODULE = "child_of_a_test"


@dataclass(frozen=True)
class Instructions:
    code: str
    events_fd: int = -1


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(CHILD)
    root = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), root)))


Ended = tuple[list[dict[str, Any]], int, HarnessError]


def judged(child: ChildProcess, code: int) -> HarnessError:
    return verdict(child, code, where="the place", stage="inference")


def blocking(code: str, **options: Any) -> Ended:
    told = Instructions(code)
    with BlockingChild(MODULE, lambda fd: replace(told, events_fd=fd), duties=["may-hang"], **options) as child:
        events = list(child.events())
        return events, (ended := child.reap()), judged(child, ended)


def watched(code: str, **options: Any) -> Ended:
    async def session() -> Ended:
        events: list[dict[str, Any]] = []
        told, broken = Instructions(code), []
        child = WatchedChild(
            MODULE,
            lambda fd: replace(told, events_fd=fd),
            events.append,
            broken.append,
            mark=new_mark(),
            duties=["may-hang"],
            **options,
        )
        try:
            ended = await asyncio.wait_for(child.ended, 60)
            assert not broken
            return events, ended, judged(child, ended)
        finally:
            child.close()

    return asyncio.run(session())


def gone(pid: int) -> bool:
    """Whether it has ended, if nobody may have waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


either = pytest.mark.parametrize("run", [blocking, watched])
Run = Callable[..., Ended]


@either
def test_all_that_it_tells_is_heard_in_order_also_what_comes_with_its_end(run: Run) -> None:
    events, code, _ = run("for i in range(5000): link.tell('number', value=i, padding='x' * (i % 97))")
    assert [event["value"] for event in events] == list(range(5000)) and code == 0


@either
@pytest.mark.parametrize(
    ("code", "kind", "where", "what"),
    [
        ("raise ScenarioError('no such model', where='stages.inference.model')", ScenarioError, "model", "no such"),
        ("raise StageFailed('no memory')", StageFailed, "stages.inference", "no memory"),
        ("1 / 0", StageFailed, "the place", "ZeroDivisionError: division by zero"),
        ("os._exit(9)", StageFailed, "the place", "ended with exit code 9"),
        ("os.kill(os.getpid(), signal.SIGKILL)", StageFailed, "the place", "SIGKILL (out of memory?)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", StageFailed, "the place", "SIGSEGV"),
    ],
)
def test_its_last_word_or_else_the_kernels_says_why_it_ended(
    run: Run, code: str, kind: type[HarnessError], where: str, what: str
) -> None:
    events, _, error = run(f"link.tell('begun'); print('on its way', flush=True); {code}")
    assert [event["event"] for event in events] == ["begun"]
    assert type(error) is kind and where in error.where and what in error.what
    if kind is StageFailed and where == "the place":
        assert "on its way" in error.details and str(error) in error.details


@either
def test_of_what_it_prints_the_end_is_kept(run: Run) -> None:
    *_, error = run(f"print('first'); print('x' * {OUTPUT_BYTES}); print('last', flush=True); os._exit(1)")
    assert "last" in error.details and "first" not in error.details and "[...]" in error.details


@either
def test_what_it_started_ends_with_it_and_keeps_nobody_waiting(run: Run) -> None:
    begun = time.monotonic()
    events, code, _ = run("link.tell('pid', pid=subprocess.Popen(['sleep', '600'], close_fds=False).pid)")
    assert code == 0 and time.monotonic() - begun < 60
    until = time.monotonic() + 10
    while not gone(events[0]["pid"]):
        assert time.monotonic() < until
        time.sleep(0.01)


@either
def test_it_has_its_threads_in_its_environment(run: Run) -> None:
    events, *_ = run("link.tell('threads', count=os.environ['OMP_NUM_THREADS'])", threads=3)
    assert events[0]["count"] == "3"


def test_without_a_stage_a_failure_is_the_runs() -> None:
    with BlockingChild(MODULE, lambda fd: Instructions("1 / 0", fd)) as child:
        assert list(child.events()) == []
        assert type(verdict(child, child.reap(), where="producer")) is RunFailed


def test_what_is_waited_for_too_long_is_ended() -> None:
    told = Instructions("link.tell('begun'); time.sleep(600)")
    with BlockingChild(MODULE, lambda fd: replace(told, events_fd=fd), until=time.monotonic() + 60) as child:
        events = child.events()
        assert next(events)["event"] == "begun"
        child.until = time.monotonic() + 0.1
        with pytest.raises(TimeoutError):
            next(events)
    assert child.process.returncode == -signal.SIGKILL


def test_one_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/dev/fd"))  # noqa: PTH208
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        BlockingChild(MODULE, lambda fd: Instructions("", fd))
    assert set(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_what_is_no_event_is_told_to_the_one_who_watches() -> None:
    async def session() -> list[Exception]:
        broken: list[Exception] = []
        told = Instructions("os.write(link.instructions.events_fd, b'no json\\n')")
        child = WatchedChild(
            MODULE, lambda fd: replace(told, events_fd=fd), lambda event: None, broken.append, mark=new_mark()
        )
        await asyncio.wait_for(child.ended, 60)
        child.close()
        return broken

    assert [type(error).__name__ for error in asyncio.run(session())] == ["JSONDecodeError"]
