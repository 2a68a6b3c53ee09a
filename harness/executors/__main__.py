"""A child process: `python -m harness.executors MODULE PARENT`. Ties its life to its parent's, then becomes MODULE."""

from __future__ import annotations

import sys
from importlib import import_module

from harness.lifeline import end_if_orphaned, tie

if __name__ == "__main__":
    module = sys.argv[1]
    kind = module.rpartition(".")[2]
    tie(int(sys.argv[2]), hangs=kind != "producer", clears_up=kind != "worker")
    try:
        import_module(module).main()
    finally:
        end_if_orphaned()
