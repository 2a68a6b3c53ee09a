"""What one process uses: resident memory by kind, CPU time, context switches, and the time it waits for a CPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.host import files
from harness.host.files import ROOT

KILOBYTE = 1024 / 1e6  # /proc writes kB and means 1024 bytes; in MB of 10**6 bytes


@dataclass(frozen=True)
class ProcessUsage:
    """A process at one moment, sizes in MB of 10**6 bytes; None where the system does not say.

    rss_mb: resident memory. peak_rss_mb: the most it ever was.
    anon_mb: the part of it that is private to the process. shmem_mb: the part in shared memory, which every
        process that has touched the same pages counts as its own.
    voluntary_switches, involuntary_switches: how often the process waited, and how often it had to give way: of its
        main thread, or of all living threads where that was asked for.
    cpu_s: user and system time of all its threads, in steps of 10 ms.
    cpu_wait_s: how long its main thread was ready to run and waited for a CPU.
    threads: how many it has.
    """

    rss_mb: float
    peak_rss_mb: float | None
    anon_mb: float | None
    shmem_mb: float | None
    voluntary_switches: int | None
    involuntary_switches: int | None
    cpu_s: float
    cpu_wait_s: float | None
    threads: int


def process_usage(pid: int, *, every_thread: bool = False, root: Path = ROOT) -> ProcessUsage | None:
    """The usage of a process now, or None where it has ended.

    every_thread: sum the context switches over the living threads; that reads one more file for each of them.
    """
    folder = root / "proc" / str(pid)
    written = files.text(folder, "status")
    if written is None and root == ROOT and not (root / "proc/self").exists():
        return _from_psutil(pid)
    status = files.keyed(written or "")
    stat = files.text(folder, "stat")
    if "VmRSS" not in status or stat is None:  # gone, or ended and not yet waited for
        return None
    statuses = [status]
    if every_thread:
        texts = (files.text(task, "status") for task in files.folders(folder, "task/[0-9]*"))
        statuses = [files.keyed(text) for text in texts if text] or statuses
    waited = (files.text(folder, "schedstat") or "").split()
    return ProcessUsage(
        rss_mb=_megabytes(status["VmRSS"]) or 0.0,
        peak_rss_mb=_megabytes(status.get("VmHWM")),
        anon_mb=_megabytes(status.get("RssAnon")),
        shmem_mb=_megabytes(status.get("RssShmem")),
        voluntary_switches=sum(int(each.get("voluntary_ctxt_switches", 0)) for each in statuses),
        involuntary_switches=sum(int(each.get("nonvoluntary_ctxt_switches", 0)) for each in statuses),
        cpu_s=cpu_s(stat, os.sysconf("SC_CLK_TCK")),
        cpu_wait_s=int(waited[1]) / 1e9 if len(waited) == 3 else None,
        threads=int(status["Threads"]),
    )


def cpu_s(stat: str, ticks_per_s: int) -> float:
    """User and system time in seconds from the text of /proc/PID/stat."""
    # The second field is the program's name in brackets, and may itself hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / ticks_per_s


def _megabytes(written: str | None) -> float | None:
    return None if written is None else int(written.split()[0]) * KILOBYTE


def _from_psutil(pid: int) -> ProcessUsage | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory, times, switches = process.memory_info(), process.cpu_times(), process.num_ctx_switches()
            peak = getattr(memory, "peak_wset", None)  # Windows only
            return ProcessUsage(
                rss_mb=memory.rss / 1e6,
                peak_rss_mb=None if peak is None else peak / 1e6,
                anon_mb=None,
                shmem_mb=None,
                voluntary_switches=switches.voluntary,
                involuntary_switches=switches.involuntary,
                cpu_s=times.user + times.system,
                cpu_wait_s=None,
                threads=process.num_threads(),
            )
    except psutil.Error:
        return None
