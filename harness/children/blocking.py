"""A child that is waited for, until it is done or a deadline is over."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from harness.children.process import ChildProcess, Duty, Event
from harness.lifeline import kill_marked, new_mark

POLL_S = 0.02


class BlockingChild(ChildProcess):
    """A child that ends with a `with` block.

    mark: of the run that it is a part of; without one it has its own, and all that it has started ends with it.
    until: the time.monotonic() at which its next event has to be there; may be moved.
    """

    def __init__(
        self,
        module: str,
        instructions: Callable[[int], Any],
        *,
        mark: str = "",
        threads: int = 1,
        cpus: Iterable[int] = (),
        fds: Iterable[int] = (),
        duties: Iterable[Duty] = (),
        until: float = math.inf,
    ) -> None:
        super().__init__(
            module, instructions, mark=mark or new_mark(), threads=threads, cpus=cpus, fds=fds, duties=duties
        )
        self._own_mark = not mark
        self.until = until

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.reap()
        if self._own_mark:
            kill_marked(self.mark)
        self.close()

    def events(self) -> Iterator[Event]:
        """Each event as it comes, until the process ends; what it has started itself may hold the pipe open for longer.

        Raises TimeoutError.
        """
        message = memoryview(self.first_message)
        with contextlib.suppress(BrokenPipeError):  # it has ended: how, is the verdict's
            while message:
                message = message[os.write(self.stdin_fd, message) :]
        heard: list[Event] = []
        while not self.silent:
            while not self._readable(POLL_S):
                ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended and not self._readable(0):
                    return
                if time.monotonic() >= self.until:
                    raise TimeoutError
            self.hear(heard.append)
            yield from heard
            heard.clear()

    def _readable(self, within_s: float) -> bool:
        return bool(select.select([self.events_fd], [], [], within_s)[0])
