"""Shared memory without a name: when the last process that maps it ends, however it ends, the kernel frees it."""

from __future__ import annotations

import mmap
import os
import tempfile

from harness.errors import RunFailed


def allocate(nbytes: int, label: str) -> int:
    """A descriptor of `nbytes` of zeroed shared memory; nothing of it appears in any file system. Raises RunFailed."""
    fd = -1
    try:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create(label, os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile(prefix=label) as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, max(nbytes, 1))
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        raise RunFailed(
            f"cannot allocate {nbytes / 2**20:,.0f} MiB of shared memory: {error.strerror}",
            where=label,
            hint="Lower a stage's capacity, the number of requests, or the images of the source.",
        ) from None
    return fd


def store(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write `data` (C-contiguous) at a byte offset of memory from `allocate`; it grows if needed. Raises RunFailed."""
    left = memoryview(data).cast("B")
    try:
        while left:
            written = os.pwrite(fd, left, offset)  # at most 2 GiB at once
            left, offset = left[written:], offset + written
    except OSError as error:
        raise RunFailed(f"cannot write to shared memory: {error.strerror}") from None


def attach(fd: int, nbytes: int, *, populate: bool = True, writable: bool = True) -> mmap.mmap:
    """Map a descriptor from `allocate`. populate: touch every page now, so that no request meets a page fault."""
    flags = mmap.MAP_SHARED | (getattr(mmap, "MAP_POPULATE", 0) if populate else 0)
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    return mmap.mmap(fd, max(nbytes, 1), flags=flags, prot=access)
