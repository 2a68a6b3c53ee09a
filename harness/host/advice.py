"""Which properties of a host make its latencies unsteady, and what to do about each.

A check that cannot be made, because the system does not tell the figure, is left out: silence is not an "ok".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from harness.host.counters import Interval

FEW_CORES = 4  # a producer, two stages that compute, and the rest
OTHER_WORK_SHARE = 0.10
LOAD_PER_CORE = 0.25
STEAL_SHARE = 0.01
SWAP_MB = 1.0
AVAILABLE_MEMORY_MB = 2_000
SHARED_MEMORY_MB = 256
PIPE_BYTES = 65_536
PIPE_PAGES = 1_024  # 64 pipes of the usual 16 pages
SLOW_CLOCK_NS = 1_000
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
DEBUGGING_VARIABLES = ("PYTHONMALLOC", "PYTHONTRACEMALLOC", "MALLOC_CHECK_", "MALLOC_PERTURB_", "NUMBA_DISABLE_JIT")


@dataclass(frozen=True)
class Warning:
    """The verdict of one check. advice says what to do about a warning, and is empty where the level is ok."""

    name: str
    level: Literal["ok", "warning"]
    message: str
    advice: str


def warnings(
    description: dict[str, Any],
    *,
    processes: int | None = None,
    threads: int | None = None,
    interval: Interval | None = None,
) -> list[Warning]:
    """Every check that this host allows, in a fixed order; those of level warning harm latency or its measurement.

    description: of `describe`. processes: how many will run at once, threads: of each (default 1), both to find
    oversubscription. interval: what the host did while this program was idle, to find steal and the work of others.
    """
    verdicts = [check(description) for check in CHECKS]
    if processes is not None:
        verdicts.append(_oversubscription(description, processes, threads or 1))
    if interval is None:
        verdicts.append(_load_average(description))
    else:
        verdicts += [check(interval) for check in INTERVAL_CHECKS]
    return [verdict for verdict in verdicts if verdict is not None]


def _verdict(name: str, bad: bool, message: str, advice: str) -> Warning:
    return Warning(name, "warning" if bad else "ok", message, advice if bad else "")


def _cores(host: dict[str, Any]) -> Warning:
    usable, logical = host["cpu"]["usable_cores"], host["cpu"]["logical_cores"]
    bad = usable < FEW_CORES
    shared = ", and the producer, the stages and the supervisor share them" if bad else ""
    message = f"{usable:g} of {logical} cores are usable{shared}."
    return _verdict("cores", bad, message, "Keep to one worker and one thread a stage, or take more cores.")


def _quota(host: dict[str, Any]) -> Warning | None:
    quota, cpus = host["cgroup"]["cpu_quota_cores"], host["cpu"]["affinity"]
    if host["cgroup"]["version"] is None:
        return None
    if quota is None:
        return _verdict("cpu quota", False, "No control group limits the CPU time.", "")
    bad = cpus is None or quota < len(cpus)
    allowed = "" if cpus is None else f" on {_count(len(cpus), 'CPU')}"
    message = f"The control group allows {_count(quota, 'core')} of CPU time{allowed}"
    message += ": a burst that uses it up stops all threads for tens of milliseconds." if bad else "."
    return _verdict("cpu quota", bad, message, "Give whole CPUs (--cpuset-cpus, taskset) in place of a quota.")


def _governor(host: dict[str, Any]) -> Warning | None:
    governor = host["cpu"]["governor"]
    if governor is None:
        return None
    bad = governor != "performance"
    message = f"The frequency governor is {governor}" + (": the clock rate follows the load." if bad else ".")
    return _verdict("governor", bad, message, "sudo cpupower frequency-set --governor performance")


def _turbo(host: dict[str, Any]) -> Warning | None:
    turbo = host["cpu"]["turbo"]
    if turbo is None:
        return None
    message = "Turbo is on: speed depends on heat and on how many cores are busy." if turbo else "Turbo is off."
    return _verdict("turbo", turbo, message, "Turn it off to compare runs, or interleave the runs that you compare.")


def _smt(host: dict[str, Any]) -> Warning | None:
    smt, logical, cores = (host["cpu"][key] for key in ("smt", "logical_cores", "physical_cores"))
    if smt is None:
        return None
    message = f"SMT is on: {logical} logical CPUs are {cores} cores, and neighbours slow each other down."
    return _verdict("smt", smt, message if smt else "SMT is off.", "Pin workers to one logical CPU of each core.")


def _virtual_machine(host: dict[str, Any]) -> Warning | None:
    virtual, hypervisor = host["platform"]["virtualised"], host["platform"]["hypervisor"]
    if virtual is None:
        return None
    kind = f" ({hypervisor})" if hypervisor else ""
    message = f"This is a virtual machine{kind}: its neighbours can take CPU time, caches and memory bandwidth."
    advice = "Compare figures of one session only, and look at the steal time of every run."
    return _verdict("virtual machine", virtual, message if virtual else "This is no virtual machine.", advice)


def _numa(host: dict[str, Any]) -> Warning | None:
    nodes = host["cpu"]["numa_nodes"]
    if nodes is None:
        return None
    bad = nodes > 1
    message = f"{_count(nodes, 'NUMA node')}" + (": memory of another node is slower." if bad else ".")
    return _verdict("numa", bad, message, "Start it on one node: numactl --cpunodebind=0 --membind=0 harness run ...")


def _memory(host: dict[str, Any]) -> Warning | None:
    available, limit = host["memory"]["available_mb"], host["cgroup"]["memory_limit_mb"]
    if available is None:
        return None
    bad = min(available, available if limit is None else limit) < AVAILABLE_MEMORY_MB
    limited = "" if limit is None else f"; the control group allows {size(limit)}"
    message = f"{size(available)} of memory are available{limited}."
    return _verdict("memory", bad, message, "Free memory, or expect failed allocations with large models and images.")


def _swap(host: dict[str, Any]) -> Warning | None:
    used = host["memory"]["swap_used_mb"]
    if used is None:
        return None
    bad = used >= SWAP_MB
    message = f"{size(used)} of swap are in use: a page read back costs milliseconds." if bad else "No swap is in use."
    return _verdict("swap", bad, message, "Free memory, then: sudo swapoff -a && sudo swapon -a")


def _huge_pages(host: dict[str, Any]) -> Warning | None:
    mode = host["memory"]["transparent_huge_pages"]
    if mode is None:
        return None
    bad = mode == "always"
    message = f"Transparent huge pages: {mode}" + (", so the kernel may stop a thread to assemble one." if bad else ".")
    advice = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    return _verdict("huge pages", bad, message, advice)


def _shared_memory(host: dict[str, Any]) -> Warning | None:
    capacity = host["memory"]["dev_shm_mb"]
    if capacity is None:
        return None
    bad = capacity < SHARED_MEMORY_MB
    message = f"/dev/shm holds {size(capacity)}"
    message += "; this tool does not use it, but a torch DataLoader and others do." if bad else "."
    return _verdict("/dev/shm", bad, message, "docker run --shm-size=1g, or: sudo mount -o remount,size=1G /dev/shm")


def _memfd(host: dict[str, Any]) -> Warning:
    works = host["memfd"]
    message = "Nameless shared memory (memfd) works." if works else "No memfd here: slots live in unlinked files."
    return _verdict("memfd", not works, message, "Point TMPDIR to a file system in memory.")


def _pipes(host: dict[str, Any]) -> Warning | None:
    largest, pages = host["pipes"]["max_size_bytes"], host["pipes"]["user_pages_soft"]
    if largest is None or pages is None:
        return None
    bad = largest < PIPE_BYTES or 0 < pages < PIPE_PAGES
    total = f"all pipes of a user {pages:,} pages" if pages else "their total has no limit"
    message = f"A pipe may hold {size(largest / 1e6)}, and {total}."
    return _verdict("pipes", bad, message, "sudo sysctl fs.pipe-max-size=1048576 fs.pipe-user-pages-soft=16384")


def _clock(host: dict[str, Any]) -> Warning:
    source, cost_ns = host["clocks"]["source"], host["clocks"]["read_cost_ns"]
    bad = cost_ns > SLOW_CLOCK_NS or source in SLOW_CLOCKS
    name = f" ({source})" if source else ""
    message = f"Reading the clock{name} takes {cost_ns:,.0f} ns."
    return _verdict(
        "clock", bad, message, "Boot with clocksource=tsc (kvm-clock in a KVM guest): every stamp costs it."
    )


def _threads(host: dict[str, Any]) -> Warning:
    found = [f"{name}={host['environment'][name]}" for name in THREAD_VARIABLES if name in host["environment"]]
    message = f"{' and '.join(found)} will not hold: every worker sets its own thread count."
    message = message if found else "No variable presets a thread count."
    return _verdict("thread variables", bool(found), message, "Set `threads` of the stage in the scenario instead.")


def _debugging(host: dict[str, Any]) -> Warning:
    flags = {"debug_build": "a debug build of Python", "developer_mode": "developer mode", "traced": "a trace function"}
    found = [words for flag, words in flags.items() if host["python"][flag]]
    found += [f"{name}={host['environment'][name]}" for name in DEBUGGING_VARIABLES if name in host["environment"]]
    if host["python"]["tracemalloc"] and "PYTHONTRACEMALLOC" not in host["environment"]:
        found.append("tracemalloc")
    message = f"Debugging aids slow this Python down: {', '.join(found)}." if found else "No debugging aid is on."
    return _verdict("debugging aids", bool(found), message, "Measure without them.")


def _oversubscription(host: dict[str, Any], processes: int, threads: int) -> Warning:
    usable, wanted = host["cpu"]["usable_cores"], processes * threads
    each = f" with {_count(threads, 'thread')} each" if threads > 1 else ""
    message = f"{_count(processes, 'process', 'processes')}{each} on {_count(usable, 'core')}."
    return _verdict("oversubscription", wanted > usable, message, "Use fewer workers or threads: they wait in turn.")


def _load_average(host: dict[str, Any]) -> Warning | None:
    if host["load_average"] is None:
        return None
    load, usable = host["load_average"][0], host["cpu"]["usable_cores"]
    message = f"The load average of the last minute is {load:.2f} on {_count(usable, 'core')}."
    return _verdict("other work", load > LOAD_PER_CORE * usable, message, "End other programs, then measure.")


def _other_work(interval: Interval) -> Warning | None:
    if interval.user is None or interval.system is None:
        return None
    busy = interval.user + interval.system
    message = f"Other programs used {busy:.0%} of the usable CPU time in {interval.seconds:.1f} s."
    return _verdict("other work", busy > OTHER_WORK_SHARE, message, "End other programs, then measure.")


def _steal(interval: Interval) -> Warning | None:
    if interval.steal is None:
        return None
    message = f"The hypervisor took {interval.steal:.1%} of the CPU time in {interval.seconds:.1f} s."
    advice = "Measure at another time or on a dedicated machine."
    return _verdict("steal", interval.steal > STEAL_SHARE, message, advice)


def _throttling(interval: Interval) -> Warning | None:
    if interval.throttled_s is None:
        return None
    message = f"The CPU quota stopped threads for {interval.throttled_s * 1e3:.0f} ms in {interval.seconds:.1f} s."
    return _verdict("throttling", interval.throttled_s > 0, message, "Raise the quota, or use fewer threads.")


def _swapping(interval: Interval) -> Warning | None:
    if interval.pages_swapped_in is None or interval.pages_swapped_out is None:
        return None
    pages = interval.pages_swapped_in + interval.pages_swapped_out
    message = f"{_count(pages, 'page')} went to or from swap in {interval.seconds:.1f} s."
    return _verdict("swapping", pages > 0, message, "Free memory: every access to a swapped page waits for the disk.")


CHECKS: tuple[Callable[[dict[str, Any]], Warning | None], ...] = (
    _cores,
    _quota,
    _governor,
    _turbo,
    _smt,
    _virtual_machine,
    _numa,
    _memory,
    _swap,
    _huge_pages,
    _shared_memory,
    _memfd,
    _pipes,
    _clock,
    _threads,
    _debugging,
)
INTERVAL_CHECKS = (_other_work, _steal, _throttling, _swapping)


def size(megabytes: float) -> str:
    """A size in MB of 10**6 bytes as text, in the unit that suits it."""
    for unit, factor in (("GB", 1e-3), ("MB", 1.0)):
        if megabytes * factor >= 1:
            return f"{megabytes * factor:,.1f} {unit}"
    return f"{megabytes * 1e3:,.0f} kB"


def _count(number: float, one: str, many: str | None = None) -> str:
    written = f"{number:,.2f}".rstrip("0").rstrip(".")
    return f"{written} {one if number == 1 else many or one + 's'}"
