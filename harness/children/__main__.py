"""What a child runs first: `python -m harness.children MODULE PARENT [DUTY...]`.

Ties its life to that of its parent, a process id, then becomes MODULE. DUTY: see harness.children.process.
"""

from __future__ import annotations

import sys
from importlib import import_module

from harness.lifeline import end_if_orphaned, tie

if __name__ == "__main__":
    module, parent, *duties = sys.argv[1:]
    tie(int(parent), hangs="may-hang" in duties, clears_up="clears-up" in duties)
    try:
        import_module(module).main()
    finally:
        end_if_orphaned()
