"""The CPUs that threads may run on: set, read back, and on which memory nodes they lie (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.host import files
from harness.host.files import ROOT
from harness.units import format_cpus, parse_cpus


def pin_thread(cpus: Iterable[int]) -> None:
    """Let the calling thread, and the threads that it starts from now on, run on these CPUs only. Raises OSError."""
    os.sched_setaffinity(0, cpus)


def of_thread() -> tuple[int, ...]:
    """The CPUs that the calling thread may run on, as the kernel says."""
    return tuple(sorted(os.sched_getaffinity(0)))


def of_process(root: Path = ROOT) -> tuple[int, ...]:
    """The CPUs that any thread of this process may run on, as the kernel says."""
    texts = (files.text(task, "status") for task in files.folders(root, "proc/self/task/[0-9]*"))
    lists = (files.keyed(text)["Cpus_allowed_list"] for text in texts if text)
    return tuple(sorted({cpu for allowed in lists for cpu in parse_cpus(allowed)}))


def online(root: Path = ROOT) -> tuple[int, ...]:
    """The CPUs that there are; empty where the system does not say."""
    written = files.text(root, "sys/devices/system/cpu/online")
    return parse_cpus(written) if written else ()


def numa_nodes(cpus: Iterable[int], root: Path = ROOT) -> tuple[int, ...]:
    """The memory nodes that these CPUs belong to; empty where the system does not say."""
    wanted, nodes = set(cpus), []
    for folder in files.folders(root, "sys/devices/system/node/node[0-9]*"):
        there = files.text(folder, "cpulist")
        if there and wanted & set(parse_cpus(there)):
            nodes.append(int(folder.name.removeprefix("node")))
    return tuple(sorted(nodes))


def told(cpus: tuple[int, ...], root: Path = ROOT) -> dict[str, Any]:
    """What a worker reports of the CPUs that it read back."""
    return {"cpus": format_cpus(cpus), "numa_nodes": list(numa_nodes(cpus, root))}
