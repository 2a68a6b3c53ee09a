"""A bounded queue between processes: payload slots in nameless shared memory and two pipes of 4-byte slot numbers.

`free` carries numbers of empty slots upstream, `ready` numbers of full ones downstream. Reads and writes of 4 bytes
are atomic, so several workers share either end without a lock. When every writer of `ready` is gone, its readers see
end of file. A side with a single worker takes all numbers that lie in a pipe in one read.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clock import now_ns
from harness.errors import RunFailed
from harness.memory import allocate, attach
from harness.stages import Tensor

TOKEN = 4
_PAGE = 4096


class EndOfStreamError(Exception):
    """Every sender has closed its end, and everything that was sent has been taken."""


@dataclass(frozen=True)
class Slots:
    """The memory of a channel: the row that each slot holds, then the payloads."""

    fd: int
    count: int
    payload: Tensor | None

    @property
    def stride(self) -> int:
        """Bytes from one payload to the next."""
        return -(-(self.payload.nbytes if self.payload else 0) // 64) * 64

    @property
    def nbytes(self) -> int:
        """Bytes of the whole segment."""
        return self._header + self.count * self.stride

    @property
    def _header(self) -> int:
        return -(-self.count * 8 // _PAGE) * _PAGE

    def attach(self) -> tuple[memoryview, list[Any]]:
        """Map it: the rows as a writable view of int64, and an array for each payload (None without payload)."""
        memory = attach(self.fd, self.nbytes)
        rows = memoryview(memory)[: self.count * 8].cast("q")
        if self.payload is None:
            return rows, [None] * self.count
        arrays: list[Any] = [
            np.frombuffer(memory, np.uint8, self.payload.nbytes, self._header + i * self.stride)
            .view(self.payload.dtype)
            .reshape(self.payload.shape)
            for i in range(self.count)
        ]
        return rows, arrays


@dataclass(frozen=True)
class End:
    """One side of a channel as it travels to a worker: descriptors, which keep their numbers in the child."""

    read_fd: int
    write_fd: int
    slots: Slots
    exclusive: bool
    """Whether this side has a single worker."""
    return_fd: int = -1
    """Where a sender returns a slot that it did not need."""

    @property
    def fds(self) -> tuple[int, ...]:
        """What the child must inherit."""
        return tuple(fd for fd in (self.read_fd, self.write_fd, self.slots.fd, self.return_fd) if fd >= 0)


class Channel:
    """The supervisor's hold on a channel: makes it, hands out its ends.

    prompt: the receiver takes one request at a time and returns its slot at once, so that whether a slot is free is
    always as a shedding producer must see it.
    """

    def __init__(
        self, name: str, capacity: int, payload: Tensor | None, senders: int, receivers: int, *, prompt: bool = False
    ) -> None:
        slots = Slots(-1, capacity, payload)
        self.slots = Slots(allocate(slots.nbytes, f"harness-{name}"), capacity, payload)
        self._free_read, self._free_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        self._open = [self._ready_read, self._ready_write, self._free_read, self._free_write, self.slots.fd]
        for fd in (self._free_write, self._ready_write):
            _make_room(fd, capacity * TOKEN, name)
        os.write(self._free_write, np.arange(capacity, dtype=np.int32).tobytes())
        self.sender = End(self._free_read, self._ready_write, self.slots, senders == 1, self._free_write)
        self.receiver = End(self._ready_read, self._free_write, self.slots, receivers == 1 and not prompt)

    def release_ends(self) -> None:
        """Close what only workers may hold, so that end of file can reach them. The reading end of `ready` stays."""
        while len(self._open) > 1:
            os.close(self._open.pop())

    def close(self) -> None:
        """Close the rest."""
        while self._open:
            os.close(self._open.pop())


def _make_room(fd: int, nbytes: int, name: str) -> None:
    """See that a pipe holds `nbytes`, so that a writer of slot numbers never waits."""
    get_size, set_size = getattr(fcntl, "F_GETPIPE_SZ", None), getattr(fcntl, "F_SETPIPE_SZ", None)
    if get_size is None or set_size is None or fcntl.fcntl(fd, get_size) >= nbytes:
        return
    try:
        fcntl.fcntl(fd, set_size, nbytes)
    except OSError as error:
        raise RunFailed(
            f"the pipes of this user hold no {nbytes:,} bytes: {error.strerror}",
            where=f"channel {name}",
            hint="Lower the stage's capacity, or raise /proc/sys/fs/pipe-user-pages-soft.",
        ) from None


class Sender:
    """The upstream side in a worker: get a free slot, fill its payload, send it."""

    def __init__(self, end: End) -> None:
        self._read_fd, self.write_fd = _lowered(end.read_fd), _lowered(end.write_fd)
        self._at_once = end.slots.count * TOKEN if end.exclusive else TOKEN
        self._return_fd = end.return_fd
        self._exclusive = end.exclusive
        self.tokens = [struct.pack("i", i) for i in range(end.slots.count)]
        self.in_hand: list[int] = []
        self.rows, self.payloads = end.slots.attach()

    def acquire(self) -> int:
        """A free slot; waits for one."""
        if not self.in_hand:
            self._take(os.read(self._read_fd, self._at_once))
        return self.in_hand.pop()

    def try_acquire(self) -> int | None:
        """A free slot if there is one now. `set_blocking(False)` first."""
        if not self.in_hand:
            try:
                self._take(os.read(self._read_fd, self._at_once))
            except BlockingIOError:
                return None
        return self.in_hand.pop()

    def give_back(self, slot: int) -> None:
        """Return a slot that was acquired and not sent. Siblings may be waiting for it, so it is not kept."""
        if self._exclusive:
            self.in_hand.append(slot)
        else:
            os.write(self._return_fd, self.tokens[slot])

    def set_blocking(self, blocking: bool) -> None:
        """Choose between `acquire` and `try_acquire`; a matter of the pipe, so of all that share this side."""
        os.set_blocking(self._read_fd, blocking)

    def _take(self, data: bytes) -> None:
        if not data:
            raise EndOfStreamError
        self.in_hand.extend(memoryview(data).cast("i").tolist()[::-1])

    def send(self, slot: int, row: int) -> None:
        """Hand the slot, now holding the payload of `row`, to the downstream side."""
        self.rows[slot] = row
        os.write(self.write_fd, self.tokens[slot])


class Receiver:
    """The downstream side in a worker: take what is ready, give the slot back."""

    def __init__(self, end: End) -> None:
        self.read_fd, self.write_fd = _lowered(end.read_fd), _lowered(end.write_fd)
        self.at_once = end.slots.count * TOKEN if end.exclusive else TOKEN
        self.tokens = [struct.pack("i", i) for i in range(end.slots.count)]
        self.in_hand: deque[int] = deque()
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        self.group = max(1, end.slots.count // 4) * TOKEN
        self.rows, self.payloads = end.slots.attach()

    def take(self) -> int:
        """The next ready slot; waits for one. Raises EndOfStreamError."""
        while not self.in_hand:
            try:
                data = os.read(self.read_fd, self.at_once)
            except BlockingIOError:
                select.select([self.read_fd], [], [])
                continue
            return self.numbers[data] if len(data) == TOKEN else self.keep(data)
        return self.in_hand.popleft()

    def take_before(self, deadline_ns: int) -> int | None:
        """The next ready slot, or None when there is none by `deadline_ns`. `set_blocking(False)` first.

        At the end of the stream it returns None at once.
        """
        while not self.in_hand:
            try:
                return self.keep(os.read(self.read_fd, self.at_once))
            except EndOfStreamError:
                return None
            except BlockingIOError:
                left_ns = deadline_ns - now_ns()
                if left_ns <= 0 or not select.select([self.read_fd], [], [], left_ns / 1e9)[0]:
                    return None
        return self.in_hand.popleft()

    def set_blocking(self, blocking: bool) -> None:
        """Whether reads of the pipe wait; `take` works with either, `take_before` needs False."""
        os.set_blocking(self.read_fd, blocking)

    def keep(self, data: bytes) -> int:
        """The first of the slot numbers that were read; the others stay in hand."""
        if not data:
            raise EndOfStreamError
        self.in_hand.extend(memoryview(data).cast("i"))
        return self.in_hand.popleft()

    def release(self, slot: int) -> None:
        """Give the slot back: its payload may be overwritten from now on."""
        os.write(self.write_fd, self.tokens[slot])


def _lowered(fd: int) -> int:
    """The same descriptor under the lowest free number: select takes none above 1023."""
    low = os.dup(fd)
    os.close(fd)
    return low


def payload_array(payload: Tensor) -> NDArray[Any]:
    """Private memory for a payload, for a stage that has no channel behind it."""
    return np.empty(payload.shape, payload.dtype)
