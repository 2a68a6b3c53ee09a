"""The kernel's counters before and after an interval: CPU time, steal, paging, context switches, throttling."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path

from harness import clock
from harness.host import files, limits
from harness.host.files import ROOT

# The columns of a CPU's line in /proc/stat, proc(5); guest time is already part of user and nice.
STAT_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
CPU_SHARES = {
    "user": ("user", "nice"),
    "system": ("system", "irq", "softirq"),
    "idle": ("idle", "iowait"),
    "steal": ("steal",),
}


@dataclass(frozen=True)
class Interval:
    """What happened on the host between two snapshots; None where the system does not count it.

    seconds: length of the interval.
    user, system, idle, steal: shares of the time of the CPUs that this process may use; they add up to 1. idle
        contains waiting for disks; steal is the time for which the hypervisor ran something else. Linux counts in
        steps of 10 ms, so that intervals below a second are coarse.
    major_faults, pages_swapped_in, pages_swapped_out: of the whole host.
    context_switches: of the whole host.
    throttled_s: how long the control group's CPU quota kept its threads from running.
    """

    seconds: float
    user: float | None
    system: float | None
    idle: float | None
    steal: float | None
    major_faults: int | None
    pages_swapped_in: int | None
    pages_swapped_out: int | None
    context_switches: int | None
    throttled_s: float | None


@dataclass(frozen=True)
class Counters:
    """The counters at one moment, since boot; take two and ask `later.since(earlier)`.

    taken_ns: the monotonic clock. cpu_ticks: per column of STAT_COLUMNS over the usable CPUs, in clock ticks.
    """

    taken_ns: int
    cpu_ticks: tuple[int, ...] | None
    major_faults: int | None
    pages_swapped_in: int | None
    pages_swapped_out: int | None
    context_switches: int | None
    throttled_s: float | None

    @classmethod
    def snapshot(cls, root: Path = ROOT, cpus: list[int] | None = None) -> Counters:
        """The counters now. cpus: the CPUs whose time counts, default those that this process may use."""
        stat = files.text(root, "proc/stat") or ""
        paging = files.text(root, "proc/vmstat") or ""
        throttling = _throttling_file(root)
        return cls(
            taken_ns=clock.now_ns(),
            cpu_ticks=cpu_ticks(stat, limits.affinity() if cpus is None else cpus),
            major_faults=files.count(paging, "pgmajfault"),
            pages_swapped_in=files.count(paging, "pswpin"),
            pages_swapped_out=files.count(paging, "pswpout"),
            context_switches=files.count(stat, "ctxt"),
            throttled_s=None if throttling is None else throttled_s(files.text(root, throttling) or ""),
        )

    def since(self, earlier: Counters) -> Interval:
        """What happened between the earlier snapshot and this one."""
        shares = cpu_shares(earlier.cpu_ticks, self.cpu_ticks)
        throttled = None
        if self.throttled_s is not None and earlier.throttled_s is not None:
            throttled = self.throttled_s - earlier.throttled_s
        return Interval(
            seconds=(self.taken_ns - earlier.taken_ns) / 1e9,
            user=shares.get("user"),
            system=shares.get("system"),
            idle=shares.get("idle"),
            steal=shares.get("steal"),
            major_faults=_growth(earlier.major_faults, self.major_faults),
            pages_swapped_in=_growth(earlier.pages_swapped_in, self.pages_swapped_in),
            pages_swapped_out=_growth(earlier.pages_swapped_out, self.pages_swapped_out),
            context_switches=_growth(earlier.context_switches, self.context_switches),
            throttled_s=throttled,
        )


def sample(seconds: float) -> Interval:
    """Sleep for some seconds and return what the host did meanwhile."""
    earlier = Counters.snapshot()
    time.sleep(seconds)
    return Counters.snapshot().since(earlier)


def cpu_ticks(stat: str, cpus: list[int] | None) -> tuple[int, ...] | None:
    """The text of /proc/stat summed over the given CPUs (None: all), one figure for each of STAT_COLUMNS.

    None where the text has no line for any of them.
    """
    wanted = {"cpu"} if cpus is None else {f"cpu{cpu}" for cpu in cpus}
    rows = []
    for line in stat.splitlines():
        if not line.startswith("cpu"):
            break
        name, *ticks = line.split()
        if name in wanted:
            rows.append([int(tick) for tick in ticks[: len(STAT_COLUMNS)]])
    return tuple(map(sum, zip(*rows, strict=True))) if rows else None


def cpu_shares(earlier: tuple[int, ...] | None, later: tuple[int, ...] | None) -> dict[str, float]:
    """The shares of CPU time between two results of cpu_ticks, {} where either is missing or no tick has passed."""
    if earlier is None or later is None:
        return {}
    # The kernel's idle and iowait columns are estimates that may step back, proc(5).
    spent = {name: max(0, b - a) for name, a, b in zip(STAT_COLUMNS, earlier, later, strict=False)}
    total = sum(spent.values())
    if total == 0:
        return {}
    return {share: sum(spent.get(name, 0) for name in names) / total for share, names in CPU_SHARES.items()}


def throttled_s(stat: str) -> float | None:
    """The throttled time in seconds from the text of a control group's cpu.stat, version 1 (ns) or 2 (us)."""
    microseconds, nanoseconds = files.count(stat, "throttled_usec"), files.count(stat, "throttled_time")
    if microseconds is not None:
        return microseconds / 1e6
    return None if nanoseconds is None else nanoseconds / 1e9


@functools.cache
def _throttling_file(root: Path) -> str | None:
    return limits.limits(root).throttling_file


def _growth(earlier: int | None, later: int | None) -> int | None:
    return None if earlier is None or later is None else later - earlier
