"""A bounded queue of slots between tasks of one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import numpy as np

from harness.clock import now_ns
from harness.stages import Tensor


class EndOfStreamError(Exception):
    """The channel is closed and empty."""


class Channel:
    """A bounded queue of slots between tasks. Closed when its last sender leaves."""

    def __init__(self, capacity: int, payload: Tensor | None, senders: int) -> None:
        self.payloads: list[Any] = [
            None if payload is None else np.empty(payload.shape, payload.dtype) for _ in range(capacity)
        ]
        self._free = deque(range(capacity))
        self._ready: deque[tuple[int, int]] = deque()
        self._want_free: deque[asyncio.Future[None]] = deque()
        self._want_ready: deque[asyncio.Future[None]] = deque()
        self._senders = senders

    def try_acquire(self) -> int | None:
        return self._free.popleft() if self._free and not self._want_free else None

    async def acquire(self) -> int:
        while not self._free:
            await _wait(self._want_free)
        return self._free.popleft()

    def send(self, slot: int, row: int) -> None:
        self._ready.append((slot, row))
        _wake(self._want_ready)

    async def take(self) -> tuple[int, int]:
        while not self._ready:
            if not self._senders:
                raise EndOfStreamError
            await _wait(self._want_ready)
        return self._ready.popleft()

    async def take_before(self, deadline_ns: int) -> tuple[int, int] | None:
        try:
            async with asyncio.timeout(max(0, deadline_ns - now_ns()) / 1e9):
                return await self.take()
        except (TimeoutError, EndOfStreamError):
            return None

    def release(self, slot: int) -> None:
        self._free.append(slot)
        _wake(self._want_free)

    def leave(self) -> None:
        """One sender is done."""
        self._senders -= 1
        if not self._senders:
            while self._want_ready:
                _wake(self._want_ready)


async def _wait(waiting: deque[asyncio.Future[None]]) -> None:
    future = asyncio.get_running_loop().create_future()
    waiting.append(future)
    try:
        await future
    except asyncio.CancelledError:
        if future in waiting:
            waiting.remove(future)
        elif not future.cancelled():  # it was woken, and will not use it: pass it on
            _wake(waiting)
        raise


def _wake(waiting: deque[asyncio.Future[None]]) -> None:
    while waiting:
        future = waiting.popleft()
        if not future.done():
            future.set_result(None)
            return
