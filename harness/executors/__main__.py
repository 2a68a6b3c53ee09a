"""A child process: `python -m harness.executors MODULE PARENT`. Ties its life to its parent's, then becomes MODULE."""

from __future__ import annotations

import sys
from importlib import import_module

from harness.lifeline import tie

if __name__ == "__main__":
    tie(int(sys.argv[2]), keeper=sys.argv[1] == "process.producer")
    import_module(f"harness.executors.{sys.argv[1]}").main()
