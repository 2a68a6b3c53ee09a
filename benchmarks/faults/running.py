"""The command under test: `harness run` in a folder of its own, its output in files, so that no orphan holds a pipe."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import processes

SCENARIO, OUT, TEMPORARY = "scenario.yaml", "out", "tmp"
STDOUT, STDERR, AT_EXIT = "stdout.txt", "stderr.txt", "at-exit.json"
POLL_S, ABORT_S = 0.004, 1.0
HARNESS = (sys.executable, "-m", "harness", "run", SCENARIO, "--out", OUT)
WATCH = f'''
"""What the command's own process still holds when it exits. Python imports this module at its start."""
import atexit, gc, json, os, signal, sys, threading

def report(pid=os.getpid()):
    if os.getpid() != pid:
        return  # a fork of it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    held = {{}}
    for name in os.listdir("/proc/self/fd"):
        try:
            held[name] = os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass  # the listing's own
    with open("/proc/self/maps") as maps:
        shared = [line.split()[-2] for line in maps if "{processes.OWN_MEMORY}" in line]
    threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    with open(os.environ["HARNESS_FAULTS_AT_EXIT"], "w") as file:
        json.dump({{"descriptors": held, "threads": threads, "memory": shared}}, file)

if sys.orig_argv[1:4] == ["-m", "harness", "run"]:
    atexit.register(report)
'''


@dataclass
class Running:
    """A command that has been started.

    injected, ended_at: when the fault was, and the end, on the monotonic clock. hit: False where the command, or what
    the fault was for, had ended before.
    """

    process: subprocess.Popen[bytes]
    place: Path
    mark: str
    stopping: threading.Event
    injected: float
    ended_at: float = 0.0
    hit: bool = True

    @property
    def ended(self) -> bool:
        """Whether it has, or the whole benchmark is to end."""
        return self.process.poll() is not None or self.stopping.is_set()

    @property
    def said(self) -> str:
        """Its standard error so far."""
        return (self.place / STDERR).read_text(errors="replace")

    @property
    def begun(self) -> bool:
        """Whether it has said that it starts workers: from then on there is a run that can be lost."""
        return "starting workers" in self.said

    def until(self, text: str, within_s: float = 60) -> bool:
        """Wait until it has said this. False: it has ended."""
        until = time.monotonic() + within_s
        while text not in self.said:
            if self.ended or time.monotonic() > until:
                return False
            time.sleep(POLL_S)
        return True

    def sleep(self, seconds: float) -> None:
        """Wait; no longer than it runs."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.ended:
            time.sleep(min(left, POLL_S))

    def child(self, share: float, within_s: float = 30) -> int | None:
        """Its producer or one of its workers: the first for a share of 0, the last for 1. None: it has ended."""
        until = time.monotonic() + within_s
        while not (found := processes.children(self.mark)):
            if self.ended or time.monotonic() > until:
                self.hit = False
                return None
            time.sleep(POLL_S)
        return found[min(int(share * len(found)), len(found) - 1)]

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send it a signal; to its process group, as a terminal does, or to itself."""
        with contextlib.suppress(OSError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def abort(self) -> None:
        """End it where it hangs, with every thread's stack on its standard error."""
        self.signal(signal.SIGABRT)
        until = time.monotonic() + ABORT_S
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(POLL_S)

    def now(self) -> None:
        """The fault is injected now."""
        self.injected = time.monotonic()
        self.hit = self.hit and not self.ended

    def wait(self, within_s: float) -> bool:
        """Whether it ended within this time from the injection."""
        while not self.ended and time.monotonic() - self.injected < within_s:
            time.sleep(POLL_S)
        self.ended_at = time.monotonic()
        return self.process.poll() is not None


def start(
    place: Path, mark: str, prefix: Sequence[str], arguments: Sequence[str], stopping: threading.Event
) -> Running:
    """Start it in a folder that holds scenario.yaml and its folder for temporary files."""
    (place / "sitecustomize.py").write_text(WATCH)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "TMPDIR": str(place / TEMPORARY),
        "PYTHONPATH": str(place),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HARNESS_FAULTS_AT_EXIT": str(place / AT_EXIT),
        "PYTHONFAULTHANDLER": "1",
        "OPENBLAS_NUM_THREADS": "1",  # where it cannot start a thread it sends its own process a SIGINT
        "COLUMNS": "120",
        processes.MARK: mark,
    }
    with (place / STDOUT).open("wb") as out, (place / STDERR).open("wb") as err:
        process = subprocess.Popen(
            [*prefix, *HARNESS, *arguments],
            cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    return Running(process, place, mark, stopping, time.monotonic())
