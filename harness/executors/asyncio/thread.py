"""A thread that computes for one worker, and the future of each call to it."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

POLL_S = 0.02


class EscapedError(Exception):
    """A call raised what ends a thread, a task or an iteration; raised: that."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"{type(raised).__name__}: {raised}")
        self.raised = raised


_Call = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class ComputeThread:
    """One thread that computes for one worker. A daemon: a stage that hangs cannot keep the process from ending.

    discard: is given the result of a call that nobody waits for any more.
    """

    def __init__(self, name: str, discard: Callable[[Any], None] | None = None) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._discard = discard
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Run it in the thread."""
        future = self._loop.create_future()
        self._calls.put((future, function, arguments))
        return future

    def close(self) -> None:
        """Let it end when it has done what it was called for."""
        self._calls.put(None)

    def join(self) -> None:
        """Wait for the last steps of a thread that has `ended`."""
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._compute(*call)
            del call  # while it waits it holds on to nothing
        self._tell(self.ended, None, None, None)

    def _compute(self, future: asyncio.Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function(*arguments)
        except BaseException as raised:  # what the stage's code raises is never meant for the loop
            known = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if known else EscapedError(raised)
        taken = None if self._discard is None else threading.Event()
        self._tell(future, result, error, taken)
        if self._discard is not None and taken is not None and error is None:
            while not taken.wait(POLL_S) and not self._loop.is_closed():
                pass
            if not taken.is_set() or future.cancelled():  # a loop that is closed takes nothing any more
                self._discard(result)

    def _tell(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None, taken: threading.Event | None
    ) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(_settle, future, result, error, taken)


async def close_all(threads: Iterable[ComputeThread], within_s: float) -> None:
    """Close them, and wait until they have ended, but for one that hangs."""
    threads = list(threads)
    for thread in threads:
        thread.close()
    if threads:
        await asyncio.wait([thread.ended for thread in threads], timeout=within_s)
    for thread in threads:
        if thread.ended.done():
            thread.join()


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None, taken: threading.Event | None
) -> None:
    if not future.cancelled():
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    if taken is not None:
        taken.set()
