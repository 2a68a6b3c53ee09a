"""A child that an asyncio loop watches.

It has ended when its process has: what it has started itself may hold its pipes open for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from harness.children.process import ChildProcess, Duty, Event
from harness.lifeline import pack


class WatchedChild(ChildProcess):
    """One child of the running loop. What it has started in its process group ends with it.

    take: is given each event. broken: is told what hearing it raised. ended: its exit code, negative for a signal; set
    when all its events are taken.
    """

    def __init__(
        self,
        module: str,
        instructions: Callable[[int], Any],
        take: Callable[[Event], None],
        broken: Callable[[Exception], None],
        *,
        mark: str,
        threads: int = 1,
        cpus: Iterable[int] = (),
        fds: Iterable[int] = (),
        duties: Iterable[Duty] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        super().__init__(module, instructions, mark=mark, threads=threads, cpus=cpus, fds=fds, duties=duties)
        self._take, self._broken = take, broken
        self._unsent = bytearray(self.first_message)
        os.set_blocking(self.stdin_fd, False)
        self._loop.add_reader(self.events_fd, self._read)
        self._watch()
        self._write()

    def close(self) -> None:
        """Let go of it, when it has ended or could not be ended. Safe to call twice."""
        if self.closed:
            return
        self._loop.remove_reader(self.events_fd)
        self._loop.remove_writer(self.stdin_fd)
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
        super().close()

    # -------------------------------------------------------------- telling

    def send(self, message: Any) -> None:
        """Tell it something, as soon as it takes it."""
        if not self.ended.done():
            self._unsent += pack(message)
            self._write()

    def _write(self) -> None:
        try:
            del self._unsent[: os.write(self.stdin_fd, self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it has ended, or is about to
            self._unsent.clear()
        if self._unsent:
            self._loop.add_writer(self.stdin_fd, self._write)
        else:
            self._loop.remove_writer(self.stdin_fd)

    # -------------------------------------------------------------- its end

    def _read(self) -> bool:
        try:
            more = self.hear(self._take)
        except Exception as error:
            self._broken(error)
            return True
        if not more and self.silent:
            self._loop.remove_reader(self.events_fd)
        return more

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
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
        code = self.reap()
        while self._read():
            pass
        self.ended.set_result(code)
