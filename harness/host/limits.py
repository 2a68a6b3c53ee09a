"""What this process may use of the machine: its CPU affinity and the limits of its control group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.host import files
from harness.host.files import ROOT

CGROUP_FOLDER = "sys/fs/cgroup"
# Version 1 writes "no limit" as the largest multiple of the page size that a signed 64-bit integer holds.
UNLIMITED_BYTES = 1 << 60


@dataclass(frozen=True)
class Limits:
    """The limits of this process's control group, the tightest of it and its ancestors.

    version: 1, 2, or None where there are no control groups.
    cpu_quota_cores: CPU time per time that the group may use, in cores; None without a quota.
    memory_limit_mb: memory the group may hold, in MB of 10**6 bytes; None without a limit.
    throttling_file: the cpu.stat, relative to the root, of the group that holds the quota; None without a quota.
    """

    version: int | None
    cpu_quota_cores: float | None
    memory_limit_mb: float | None
    throttling_file: str | None


def affinity() -> list[int] | None:
    """The CPUs this process may run on, or None where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return None


def usable_cores(root: Path = ROOT) -> float:
    """How many cores' worth of CPU time this process can get: the smaller of affinity and control group quota."""
    allowed = affinity()
    cores = float(len(allowed) if allowed is not None else os.cpu_count() or 1)
    quota = limits(root).cpu_quota_cores
    return cores if quota is None else min(cores, quota)


def limits(root: Path = ROOT) -> Limits:
    """The control group limits of this process, for versions 1 and 2 and for systems that mount both."""
    groups = _groups(files.text(root, "proc/self/cgroup") or "")
    if not groups:
        return Limits(None, None, None, None)
    unified = files.text(root, f"{CGROUP_FOLDER}/cgroup.controllers") is not None
    if unified:
        cpu = memory = list(_ancestry(root, [CGROUP_FOLDER], groups.get("", "/")))
        quotas = [(cores, folder) for folder in cpu if (cores := _quota_v2(root, folder)) is not None]
        sizes = [size for folder in memory if (size := files.integer(root, f"{folder}/memory.max")) is not None]
    else:
        cpu, memory = (list(_hierarchy_v1(root, groups, controller)) for controller in ("cpu", "memory"))
        quotas = [(cores, folder) for folder in cpu if (cores := _quota_v1(root, folder)) is not None]
        sizes = [size for d in memory if (size := files.integer(root, f"{d}/memory.limit_in_bytes")) is not None]
    size = min((size for size in sizes if size < UNLIMITED_BYTES), default=None)
    cores, folder = min(quotas, default=(None, None))
    return Limits(
        version=2 if unified else 1,
        cpu_quota_cores=cores,
        memory_limit_mb=None if size is None else size / 1e6,
        throttling_file=None if folder is None else f"{folder}/cpu.stat",
    )


def _groups(written: str) -> dict[str, str]:
    """The lines of /proc/self/cgroup: controller to group path; version 2 is the empty controller."""
    groups: dict[str, str] = {}
    for line in written.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _hierarchy_v1(root: Path, groups: dict[str, str], controller: str) -> Iterator[str]:
    path = groups.get(controller)
    if path is None:
        return iter(())
    mounts = [controller, *(",".join(pair) for pair in (("cpu", "cpuacct"), ("cpuacct", "cpu")) if controller in pair)]
    return _ancestry(root, [f"{CGROUP_FOLDER}/{mount}" for mount in mounts], path)


def _ancestry(root: Path, mounts: list[str], group: str) -> Iterator[str]:
    """The folders of a group and of its ancestors, up to the first of the mount points that exists.

    Inside a container the path may be the host's, which does not exist there: the mount point is then the group itself.
    """
    for mount in mounts:
        if (root / mount).is_dir():
            inside = PurePosixPath(group.lstrip("/"))
            for folder in (inside, *inside.parents):
                if ".." not in folder.parts and (root / mount / folder).is_dir():
                    yield f"{mount}/{folder}" if folder.parts else mount
            return


def _quota_v2(root: Path, folder: str) -> float | None:
    words = (files.text(root, f"{folder}/cpu.max") or "").split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _quota_v1(root: Path, folder: str) -> float | None:
    quota, period = (files.integer(root, f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota is not None and period and quota > 0 else None
