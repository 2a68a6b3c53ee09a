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
from harness.errors import RunFailed, ScenarioError
from harness.memory import allocate, attach
from harness.stages import Tensor

TOKEN = 4
MOST_AT_ONCE = 256
"""Slot numbers in one write: longer writes leave more of a pipe's pages unused."""
_ALIGNED = 4096


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
        return -(-self.count * 8 // _ALIGNED) * _ALIGNED

    @property
    def group(self) -> int:
        """How many slots a receiver returns in one write at most."""
        return max(1, min(self.count // 4, MOST_AT_ONCE))

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
        slots, exclusive = Slots(-1, capacity, payload), receivers == 1 and not prompt
        self.slots = Slots(allocate(slots.nbytes, f"harness-{name}"), capacity, payload)
        self._open = [self.slots.fd]
        where = f"stages.{name}.capacity"
        try:
            free_read, free_write = self._pipe(capacity, slots.group if exclusive else 1, where)
            ready_read, ready_write = self._pipe(capacity, 1, where)
        except BaseException:
            self.close()
            raise
        # The reading end of `ready` first: release_ends keeps it.
        self._open = [ready_read, ready_write, free_read, free_write, self.slots.fd]
        os.write(free_write, np.arange(capacity, dtype=np.int32).tobytes())
        self.sender = End(free_read, ready_write, self.slots, senders == 1, free_write)
        self.receiver = End(ready_read, free_write, self.slots, exclusive)

    def _pipe(self, tokens: int, at_once: int, where: str) -> tuple[int, int]:
        ends = roomy_pipe(tokens, at_once, where)
        self._open += ends
        return ends

    def release_ends(self) -> None:
        """Close what only workers may hold, so that end of file can reach them. The reading end of `ready` stays."""
        while len(self._open) > 1:
            os.close(self._open.pop())

    def close(self) -> None:
        """Close the rest."""
        while self._open:
            os.close(self._open.pop())


def roomy_pipe(tokens: int, at_once: int, where: str) -> tuple[int, int]:
    """A pipe that takes `tokens` numbers at any time, so that who writes them never waits.

    at_once: the most that one write holds. where: the key path that asks for it. Raises ScenarioError where this user
    may not have such a pipe, RunFailed where there are no descriptors left.
    """
    try:
        ends = os.pipe()
    except OSError as error:
        raise RunFailed(
            f"cannot open a pipe: {error.strerror}",
            where=where,
            hint="Raise the limit of open files (ulimit -n), or use fewer stages and workers.",
        ) from None
    try:
        make_room(ends[1], tokens, at_once, where)
    except BaseException:
        for fd in ends:
            os.close(fd)
        raise
    return ends


def pages_needed(tokens: int, at_once: int, page: int) -> int:
    """Pages of a pipe that never refuses a write while at most `tokens` numbers lie in it, `at_once` in the last one.

    Linux (fs/pipe.c) puts a write behind the last one if the page has room for all of it, else on a new page; and a
    page can be used again only when all of it has been read. So the first page may hold a single number that is not
    read, the last one a single one, and each page between lacks less than one write.
    """
    return 2 + (tokens - 2) * TOKEN // (page - (at_once - 1) * TOKEN)


def make_room(fd: int, tokens: int, at_once: int, where: str) -> None:
    """Make a pipe as `roomy_pipe` does of one that is there."""
    get_size, set_size = getattr(fcntl, "F_GETPIPE_SZ", None), getattr(fcntl, "F_SETPIPE_SZ", None)
    if get_size is None or set_size is None:
        return
    page = os.sysconf("SC_PAGE_SIZE")
    needed = pages_needed(tokens, at_once, page) * page
    there = fcntl.fcntl(fd, get_size)  # a user whose pipes hold much already gets one of a page or two
    if there >= needed:
        return
    try:
        fcntl.fcntl(fd, set_size, needed)
    except OSError as error:
        raise ScenarioError(
            f"{tokens:,} needs pipes of {needed:,} bytes, and this user gets no more than {there:,}: {error.strerror}",
            where=where,
            hint="Lower it, end other programs of this user that hold pipes, or raise what a user's pipes may take, "
            "such as: sudo sysctl fs.pipe-max-size=1048576 fs.pipe-user-pages-soft=65536",
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
        self.group = end.slots.group * TOKEN
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
