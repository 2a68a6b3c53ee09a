"""The supervisor's hold on one child process: started, told, listened to, ended; nothing here waits.

A child has ended when its process has: what it has started itself may hold its pipes open for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any

from harness.executors.process.child import environment
from harness.lifeline import MARK, kill_marked, pack

Event = dict[str, Any]
READ_BYTES = 1 << 16
OUTPUT_BYTES = 1 << 18
"""Of what a child has printed, how much from its end is kept."""


def start(module: str, threads: int, fds: Iterable[int], mark: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a module as a child; its output goes to `log`. Raises OSError.

    The kernel kills it when the thread that calls this ends, as well as with the process.
    """
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", "harness.executors", module, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[fd for fd in set(fds) if fd >= 0],
        env={**environment(threads), MARK: mark},
        process_group=0,
        bufsize=0,
    )


def printed(log: IO[bytes]) -> str:
    """The end of what a child has printed."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - OUTPUT_BYTES))
    cut = "[...]\n" if size > OUTPUT_BYTES else ""
    return cut + log.read().decode(errors="replace")


class Child:
    """One child of the running loop.

    told: makes its instructions from the descriptor that it is to write its events to. take: is given each event.
    broken: is told what `take` raised. ended: its exit code, negative for a signal; set when all its events are taken.
    """

    def __init__(
        self,
        module: str,
        told: Callable[[int], Any],
        threads: int,
        fds: Iterable[int],
        mark: str,
        take: Callable[[Event], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._mark, self._take, self._broken = mark, take, broken
        self._unread: list[bytes] = []
        self._unsent = bytearray()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        with contextlib.ExitStack() as undo:
            self._log = undo.enter_context(tempfile.TemporaryFile())
            self._events_fd, theirs = os.pipe()
            undo.callback(os.close, self._events_fd)
            try:
                message = told(theirs)
                self._process = start(module, threads, (*fds, theirs), mark, self._log)
            finally:
                os.close(theirs)
            undo.pop_all()
        self.pid = self._process.pid
        assert self._process.stdin is not None
        self._stdin_fd = self._process.stdin.fileno()
        for fd in (self._events_fd, self._stdin_fd):
            os.set_blocking(fd, False)
        self._loop.add_reader(self._events_fd, self._read)
        self._watch()
        self.send(message)

    def printed(self) -> str:
        """The end of what it has printed."""
        return printed(self._log)

    def kill(self) -> None:
        """Kill it. What it has started in its process group goes with it, as when it ends by itself."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it, when it has ended or could not be ended. Safe to call twice."""
        if self._log.closed:
            return
        for fd in (self._events_fd, self._pid_fd):
            if fd >= 0:
                self._loop.remove_reader(fd)
                os.close(fd)
        self._loop.remove_writer(self._stdin_fd)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._log.close()

    # -------------------------------------------------------------- telling

    def send(self, message: Any) -> None:
        """Tell it something, as soon as it takes it."""
        if not self.ended.done():
            self._unsent += pack(message)
            self._write()

    def _write(self) -> None:
        try:
            del self._unsent[: os.write(self._stdin_fd, self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it has ended, or is about to
            self._unsent.clear()
        if self._unsent:
            self._loop.add_writer(self._stdin_fd, self._write)
        else:
            self._loop.remove_writer(self._stdin_fd)

    # -------------------------------------------------------------- listening

    def _read(self) -> bool:
        """Take what it has written; whether there may be more of it now."""
        try:
            data = os.read(self._events_fd, READ_BYTES)
        except BlockingIOError:
            return False
        *lines, rest = data.split(b"\n")
        try:
            for line in lines:
                whole = b"".join((*self._unread, line))
                self._unread.clear()
                self._take(json.loads(whole))
        except Exception as error:
            self._broken(error)
        self._unread.append(rest)
        if not data:
            self._loop.remove_reader(self._events_fd)
        return bool(data)

    # -------------------------------------------------------------- its end

    def _watch(self) -> None:
        try:
            self._pid_fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or one that does not allow it
            self._pid_fd = -1
            threading.Thread(target=self._await_end, name=f"watch-{self.pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._pid_fd, self._end)

    def _await_end(self) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self.ended.done():
            return
        kill_marked(self._mark, self.pid)  # before it is waited for: its group cannot be another one's yet
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
        while self._read():
            pass
        self.ended.set_result(self._process.wait())
