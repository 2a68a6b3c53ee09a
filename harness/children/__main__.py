"""What a child runs first: `python -m harness.children MODULE PARENT CPUS [DUTY...]`.

Ties its life to that of its parent, a process id, then becomes MODULE. CPUS: numbers with commas between them that it
may run on, or `any`; set before anything is imported that starts threads, which inherit it. What is in effect is for
MODULE to read back. DUTY: see harness.children.process.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module

from harness.lifeline import end_if_orphaned, tie

if __name__ == "__main__":
    module, parent, cpus, *duties = sys.argv[1:]
    tie(int(parent), hangs="may-hang" in duties, clears_up="clears-up" in duties)
    if cpus != "any":
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, map(int, cpus.split(",")))
    try:
        import_module(module).main()
    finally:
        end_if_orphaned()
