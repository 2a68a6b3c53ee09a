"""How much memory a run may still take: what the machine, the control group and the process's own limit leave."""

from __future__ import annotations

import resource
from pathlib import Path

from harness.host import files, limits
from harness.host.files import ROOT

USABLE_SHARE = 0.6
"""Of what is left. The rest is for the workers themselves: their libraries, models and intermediate results."""


def usable_bytes(root: Path = ROOT) -> int:
    """Bytes that may be allocated now: 60 % of the least that any limit leaves."""
    left = (_machine(root), limits.available_bytes(root), address_space_bytes(root))
    return int(USABLE_SHARE * min(known for known in left if known is not None))


def _machine(root: Path) -> int:
    """The kernel's MemAvailable: free memory, and what it can take back from caches at once."""
    info = files.keyed(files.text(root, "proc/meminfo") or "")
    if "MemAvailable" in info:
        return int(info["MemAvailable"].split()[0]) * 1024
    import psutil  # of systems without /proc

    return int(psutil.virtual_memory().available)


def address_space_bytes(root: Path = ROOT) -> int | None:
    """What `ulimit -v` leaves to this process; None without such a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    pages = files.integer(root, "proc/self/statm") or 0
    return max(limit - pages * resource.getpagesize(), 0)
