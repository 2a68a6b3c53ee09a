"""What this process may use of the machine: its CPU affinity and the limits of its control group."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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
    version = _version(root)
    quota = _quota_v2 if version == 2 else _quota_v1
    quotas = [(cores, f) for f in _hierarchy(root, groups, "cpu") if (cores := quota(root, f)) is not None]
    size = min((limit for _, limit in _memory_limits(root, groups)), default=None)
    cores, folder = min(quotas, default=(None, None))
    return Limits(
        version=version,
        cpu_quota_cores=cores,
        memory_limit_mb=None if size is None else size / 1e6,
        throttling_file=None if folder is None else f"{folder}/cpu.stat",
    )


def available_bytes(root: Path = ROOT) -> int | None:
    """Bytes that this process's control group can still take, the least of it and its ancestors; None without a limit.

    Pages that hold files count as available, as in the kernel's own MemAvailable: it drops them before it kills. Shared
    memory is on none of those lists.
    """
    groups = _groups(files.text(root, "proc/self/cgroup") or "")
    v2 = _version(root) == 2
    used_file, prefix = ("memory.current", "") if v2 else ("memory.usage_in_bytes", "total_")
    left = []
    for folder, limit in _memory_limits(root, groups):
        used, stat = files.integer(root, f"{folder}/{used_file}") or 0, files.text(root, f"{folder}/memory.stat") or ""
        cached = sum(files.count(stat, f"{prefix}{kind}_file") or 0 for kind in ("inactive", "active"))
        left.append(max(limit - max(used - cached, 0), 0))
    return min(left, default=None)


def _version(root: Path) -> int:
    return 1 if files.text(root, f"{CGROUP_FOLDER}/cgroup.controllers") is None else 2


def _memory_limits(root: Path, groups: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The folder and the memory limit (bytes) of each group that has one."""
    name = "memory.max" if _version(root) == 2 else "memory.limit_in_bytes"
    for folder in _hierarchy(root, groups, "memory"):
        limit = files.integer(root, f"{folder}/{name}")
        if limit is not None and limit < UNLIMITED_BYTES:
            yield folder, limit


def _groups(written: str) -> dict[str, str]:
    """The lines of /proc/self/cgroup: controller to group path; version 2 is the empty controller."""
    groups: dict[str, str] = {}
    for line in written.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _hierarchy(root: Path, groups: Mapping[str, str], controller: str) -> Iterator[str]:
    """The folders of this process's group and of its ancestors, of the hierarchy that holds the controller."""
    if _version(root) == 2:
        return _ancestry(root, [CGROUP_FOLDER], groups.get("", "/"))
    path = groups.get(controller)
    if path is None:
        return iter(())
    mounts = [controller, *(",".join(pair) for pair in (("cpu", "cpuacct"), ("cpuacct", "cpu")) if controller in pair)]
    return _ancestry(root, [f"{CGROUP_FOLDER}/{mount}" for mount in mounts], path)


def _ancestry(root: Path, mounts: list[str], group: str) -> Iterator[str]:
    """The folders of a group and of its ancestors, up to the first of the mount points that exists.

    Inside a container the path may be the host's. What is mounted there is a part of the hierarchy, and mountinfo says
    which; where it does not, the mount point is the group itself.
    """
    for mount in mounts:
        if (root / mount).is_dir():
            inside = _below(_mounted(root, mount), PurePosixPath(group))
            for folder in (inside, *inside.parents):
                if ".." not in folder.parts and (root / mount / folder).is_dir():
                    yield f"{mount}/{folder}" if folder.parts else mount
            return


def _mounted(root: Path, mount: str) -> PurePosixPath:
    """The group that is mounted at a mount point: `/` of the whole hierarchy, and where mountinfo does not say."""
    for line in (files.text(root, "proc/self/mountinfo") or "").splitlines():
        _, _, _, group, point, *_ = line.split()
        if point == f"/{mount}":
            return PurePosixPath(group)
    return PurePosixPath("/")


def _below(mounted: PurePosixPath, group: PurePosixPath) -> PurePosixPath:
    """The path of a group, relative to the group that is mounted."""
    return group.relative_to(mounted if group.is_relative_to(mounted) else "/")


def _quota_v2(root: Path, folder: str) -> float | None:
    words = (files.text(root, f"{folder}/cpu.max") or "").split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _quota_v1(root: Path, folder: str) -> float | None:
    quota, period = (files.integer(root, f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota is not None and period and quota > 0 else None
