"""Everything known about the host before a run: the content of `environment.json`."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any, Literal

from harness.host import cpu, files, limits
from harness.host.files import ROOT

CLOCKS: tuple[Literal["monotonic", "perf_counter", "process_time", "thread_time"], ...] = (
    "monotonic",
    "perf_counter",
    "process_time",
    "thread_time",
)
CLOCK_READS = 2000


def describe(root: Path = ROOT) -> dict[str, Any]:
    """The host and the software as a JSON-serialisable dictionary; what this system does not tell is None.

    Sizes end in _mb (10**6 bytes), clock rates are in MHz. It holds neither the host's name nor the user's.
    """
    # Not at the top: these import importlib.metadata and subprocess, which a stage worker has no use for.
    from harness.host import software

    group = limits.limits(root)
    return {
        "platform": {
            "system": platform.system(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            **cpu.virtualisation(root),
        },
        "cpu": cpu.processor(root),
        "cgroup": {
            "version": group.version,
            "cpu_quota_cores": group.cpu_quota_cores,
            "memory_limit_mb": group.memory_limit_mb,
        },
        "memory": memory(root),
        "pipes": pipes(root),
        "memfd": memfd(),
        "clocks": clocks(root),
        "gpus": gpus(root),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": software.python(),
        "libraries": software.libraries(),
        "git": software.commit(),
        "environment": software.environment(),
    }


def memory(root: Path = ROOT) -> dict[str, Any]:
    """Memory, swap, transparent huge pages (`always`, `madvise` or `never`) and the size of /dev/shm."""
    info = files.keyed(files.text(root, "proc/meminfo") or "")

    def megabytes(key: str) -> float | None:
        return int(info[key].split()[0]) * 1024 / 1e6 if key in info else None

    total, available = megabytes("MemTotal"), megabytes("MemAvailable")
    swap_total, swap_free = megabytes("SwapTotal"), megabytes("SwapFree")
    swap_used = None if swap_total is None or swap_free is None else swap_total - swap_free
    if total is None and root == ROOT:
        import psutil

        whole, swap = psutil.virtual_memory(), psutil.swap_memory()
        total, available = whole.total / 1e6, whole.available / 1e6
        swap_total, swap_used = swap.total / 1e6, swap.used / 1e6
    sizes = {
        "total_mb": total,
        "available_mb": available,
        "swap_total_mb": swap_total,
        "swap_used_mb": swap_used,
        "dev_shm_mb": _file_system_mb(root / "dev/shm"),
    }
    return {
        **{name: None if size is None else round(size, 1) for name, size in sizes.items()},
        "transparent_huge_pages": _chosen(files.text(root, "sys/kernel/mm/transparent_hugepage/enabled")),
    }


def pipes(root: Path = ROOT) -> dict[str, int | None]:
    """The largest pipe an unprivileged user may ask for (bytes) and the pages that all of a user's pipes may hold.

    Beyond the second a new pipe gets two pages at most; 0 means no limit, pipe(7).
    """
    return {
        "max_size_bytes": files.integer(root, "proc/sys/fs/pipe-max-size"),
        "user_pages_soft": files.integer(root, "proc/sys/fs/pipe-user-pages-soft"),
    }


def memfd() -> bool:
    """Whether memory without a name can be created here."""
    if not hasattr(os, "memfd_create"):
        return False
    try:
        os.close(os.memfd_create("harness"))
    except OSError:
        return False
    return True


def clocks(root: Path = ROOT) -> dict[str, Any]:
    """The kernel's clock source, each clock's stated resolution (ns), and what one read costs (ns, mean)."""
    begun = time.perf_counter_ns()
    for _ in range(CLOCK_READS):
        time.monotonic_ns()
    cost_ns = (time.perf_counter_ns() - begun) / CLOCK_READS
    return {
        "source": files.text(root, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "resolution_ns": {name: time.get_clock_info(name).resolution * 1e9 for name in CLOCKS},
        "read_cost_ns": round(cost_ns, 1),
    }


def gpus(root: Path = ROOT) -> list[str]:
    """The names of the NVIDIA GPUs that the driver lists, else of their device files; empty where there is none."""
    devices = [path.name for path in files.folders(root, "dev/nvidia[0-9]*")]
    if not devices:
        return []
    listed = [files.text(path, "information") for path in files.folders(root, "proc/driver/nvidia/gpus/*")]
    return [files.keyed(text)["Model"] for text in listed if text and "Model" in files.keyed(text)] or devices


def _chosen(options: str | None) -> str | None:
    """The word in brackets of `always [madvise] never`."""
    return None if options is None or "[" not in options else options.partition("[")[2].partition("]")[0]


def _file_system_mb(path: Path) -> float | None:
    if not hasattr(os, "statvfs"):
        return None
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize / 1e6
