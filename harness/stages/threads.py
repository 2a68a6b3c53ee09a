"""Compute threads: as many as a stage asks for, where a loaded library takes them, and what libraries then have.

A worker process has the number in its environment before anything is imported. Workers of the asyncio executor share
one process: torch keeps a number for each thread of the operating system, so that each of them can be told its own (a
thread that was never told has the last that any other was). A library that a user's factory loads there is not told:
it is not loaded yet when the factory is called, and afterwards the number is the factory's own choice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from harness.host import placement
from harness.stages.base import Opened, Stage
from harness.stages.options import StageOptions


def opened(stage: Stage, options: StageOptions, cpus: Callable[[], tuple[int, ...]]) -> Opened:
    """Open a stage in the thread that will compute for it. `effective` then has `library_threads`, by library.

    cpus: reads those that the worker may run on, which `effective` has of a stage that is pinned.
    """
    tell_torch(options.threads)
    found = stage.open()
    counts = read_back()
    pinned = placement.told(cpus()) if options.cpus else {}
    return replace(found, effective={**found.effective, **({"library_threads": counts} if counts else {}), **pinned})


def tell_torch(threads: int) -> None:
    """Let operators of torch that this thread calls compute with so many; nothing where torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
        # Else this thread would take over, at its first use of torch, what another one has set meanwhile.
        torch.get_num_threads()


def read_back() -> dict[str, int]:
    """The threads with which loaded libraries compute for this thread, by library."""
    found = {}
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = int(torch.get_num_threads())
    # To ask numba starts its pool; unless something has started that, numba computes in the calling thread.
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    if parallel is not None and getattr(parallel, "_is_initialized", False):
        found["numba"] = int(parallel.get_num_threads())
    return found
