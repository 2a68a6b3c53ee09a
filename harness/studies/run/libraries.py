"""What the end of a run needs, had before its beginning: a lack of memory or of descriptors that comes later does not
cost the run."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys

import numpy as np

from harness.errors import RunFailed
from harness.host.memory import address_space_bytes

ROOM_BYTES = 400 * 2**20
"""Address space that they take, about: 360 MiB with two threads of OpenBLAS on x86-64."""
RESERVE_BYTES = 128 * 2**20
"""For what these libraries allocate then: of address space, since none of it is touched."""
RESERVE_FILES = 16
"""Descriptors for the files that are written then, and for modules that are imported."""
_SAVING = "pyarrow.parquet"


def room_for_the_end() -> contextlib.ExitStack:
    """Load what summarising and saving use, and return room for them, to be closed when the load is over.

    Raises RunFailed where there is not enough.

    OpenBLAS takes a buffer at its first call, and tries for ever where it gets none; Arrow takes arenas at its first
    write, and ends the process where it gets none. So each is called once here, behind a look at the room that
    `ulimit -v` leaves.
    """
    room = address_space_bytes()
    if room is not None and room < ROOM_BYTES and _SAVING not in sys.modules:
        raise RunFailed(
            f"`ulimit -v` leaves {room / 2**20:,.0f} MiB of address space, and the libraries of a run take"
            f" {ROOM_BYTES / 2**20:,.0f}",
            hint="Raise that limit.",
        )
    try:
        import pyarrow.parquet
        import scipy.special  # noqa: F401

        pyarrow.parquet.write_table(pyarrow.table({"": [0]}), pyarrow.BufferOutputStream(), compression="zstd")
        np.polyfit((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), 1)
        with contextlib.ExitStack() as undo:
            undo.enter_context(mmap.mmap(-1, RESERVE_BYTES))
            for _ in range(RESERVE_FILES):
                undo.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            return undo.pop_all()
    except (ImportError, MemoryError, OSError) as error:
        raise RunFailed(
            f"what the end of the run needs cannot be had: {error}",
            hint="Are there memory and descriptors (ulimit -n) for it, and is the installation whole?",
        ) from None
