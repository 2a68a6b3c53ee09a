"""All faults, in the order in which the rounds go through them, again and again."""

from __future__ import annotations

from benchmarks.faults import code, limits, signals
from benchmarks.faults.trial import Fault

ONLY_PROCESS = ("process",)
FAULTS = (
    Fault("kill-child", signals.killed_child, ONLY_PROCESS, weight=3),
    Fault("kill-supervisor", signals.killed_supervisor, weight=2),
    Fault("signal", signals.one_signal, weight=2),
    Fault("signal-twice", signals.two_signals, weight=3),
    Fault("stop", signals.stopped, ONLY_PROCESS),
    Fault("pause", signals.paused),
    Fault("full-disk", limits.full_disk, unable=limits.cannot_mount),
    Fault("full-everywhere", limits.full_everywhere, unable=limits.cannot_mount),
    Fault("read-only", limits.read_only, unable=limits.cannot_mount),
    Fault("file-size", limits.largest_file),
    Fault("pipe-pages", limits.few_pipe_pages, unable=limits.needs_root),
    Fault("processes", limits.few_processes, unable=limits.needs_root),
    Fault("descriptors", limits.few_descriptors),
    Fault("address-space", limits.little_address_space),
    Fault("memory-group", limits.little_memory, unable=limits.cannot_group),
    Fault("grandchildren", code.grandchildren, weight=2),
    Fault("hang", code.hangs),
    Fault("raise", code.raises),
    Fault("die", code.dies, ONLY_PROCESS),
    Fault("corrupt-images", code.corrupt_images),
    Fault("metrics-client", code.hostile_client),
)
CELLS = tuple((fault, executor) for fault in FAULTS for executor in fault.executors for _ in range(fault.weight))
"""One round each; the fault of round K is that of cell K, counted round and round."""
