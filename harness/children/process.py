"""A child process as its parent holds it. Nothing here waits: a child is watched by a loop, or waited for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, Literal

from harness.lifeline import MARK, kill_marked, pack

Event = dict[str, Any]
"""What a child tells: the name of the event under "event", and its details."""
Duty = Literal["may-hang", "clears-up"]
"""may-hang: in native code, so that the kernel has to kill it with the thread that started it.
clears-up: as an orphan it kills all that carry its mark; of the children with one mark, one only."""
READ_BYTES = 1 << 16
OUTPUT_BYTES = 1 << 18
"""Of what a child has printed, how much from its end is kept."""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class ChildProcess:
    """A module that runs as a process of its own and leads a process group. Raises OSError when it cannot be started.

    module: has a `main`, which makes a SupervisorLink. instructions: makes what it is told first from the descriptor
    that it is to write its events to. threads: compute threads, in its environment before it imports anything. cpus:
    those that it may run on, any without. fds: what it inherits. mark: of all that it starts, see harness.lifeline.
    """

    def __init__(
        self,
        module: str,
        instructions: Callable[[int], Any],
        *,
        mark: str,
        threads: int = 1,
        cpus: Iterable[int] = (),
        fds: Iterable[int] = (),
        duties: Iterable[Duty] = (),
    ) -> None:
        self.mark = mark
        self.crash: Event | None = None
        """What it said last, if that was why it has to end."""
        self.silent = False
        """Whether it, and all that it has started, can tell nothing more."""
        self._unread: list[bytes] = []
        with contextlib.ExitStack() as undo:
            self._log = undo.enter_context(tempfile.TemporaryFile())
            self.events_fd, theirs = os.pipe()
            undo.callback(os.close, self.events_fd)
            os.set_blocking(self.events_fd, False)
            arguments = (module, str(os.getpid()), ",".join(map(str, cpus)) or "any", *duties)
            try:
                self.first_message = pack(instructions(theirs))
                self.process = subprocess.Popen(
                    [sys.executable, "-X", "faulthandler", "-m", "harness.children", *arguments],
                    stdin=subprocess.PIPE,
                    stdout=self._log,
                    stderr=self._log,
                    pass_fds={fd for fd in (*fds, theirs) if fd >= 0},
                    env={**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), MARK: mark},
                    process_group=0,
                    bufsize=0,
                )
            finally:
                os.close(theirs)
            undo.pop_all()
        self.pid = self.process.pid
        assert self.process.stdin is not None
        self.stdin_fd = self.process.stdin.fileno()

    def hear(self, take: Callable[[Event], None]) -> bool:
        """Read once what it has written and hand on each event, but for the one that says why it ends.

        Returns whether there may be more now. Raises what `take` raises, and ValueError for what is no event.
        """
        try:
            data = os.read(self.events_fd, READ_BYTES)
        except BlockingIOError:
            return False
        *lines, rest = data.split(b"\n")
        try:
            for line in lines:
                whole = b"".join((*self._unread, line))
                self._unread.clear()
                event = json.loads(whole)
                if event["event"] in ("crashed", "refused"):
                    self.crash = event
                else:
                    take(event)
        finally:
            self._unread.append(rest)
        self.silent = not data
        return bool(data)

    def printed(self) -> str:
        """The end of what it has printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - OUTPUT_BYTES))
        cut = "[...]\n" if size > OUTPUT_BYTES else ""
        return cut + self._log.read().decode(errors="replace")

    def kill(self) -> None:
        """Kill it, unless it has been waited for: its number may be another one's then."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Wait for its end, and kill what it has started in its process group. Its exit code, negative for a signal."""
        if self.process.returncode is None:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            kill_marked(self.mark, self.pid)  # before it is waited for: its group cannot be another one's yet
        return self.process.wait()

    def close(self) -> None:
        """Let go of its pipes and its log. Safe to call twice."""
        if self._log.closed:
            return
        os.close(self.events_fd)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._log.close()

    @property
    def closed(self) -> bool:
        """Whether it was let go of."""
        return self._log.closed
