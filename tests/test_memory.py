"""Shared memory, where there is not enough of it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from harness.errors import RunFailed
from harness.memory import allocate


def descriptors() -> list[str]:
    return [path.name for path in Path("/proc/self/fd").iterdir()]


def test_memory_that_cannot_be_had_leaves_no_descriptor() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = descriptors()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunFailed, match="cannot allocate 1 MiB"):
            allocate(2**20, "harness-test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert descriptors() == before
