"""The screen of `harness doctor`: the host, its software, and what of it harms latency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import host
from harness.host.advice import size
from harness.units import format_cpus

NOT_TOLD = "not readable here"
LABEL_WIDTH = 16
WIDEST = 100
Rows = list[tuple[str, str]]


def show(
    console: Console,
    description: dict[str, Any],
    verdicts: Sequence[host.Warning],
    backends: dict[str, str | None],
    interval: host.Interval | None = None,
) -> None:
    """Print the screen, of use at 80 columns and without colour.

    backends: name of a preprocess backend to why it cannot be used here, None where it can.
    """
    ok, bad, advice = ("+", "!", "->") if console.options.ascii_only else ("✓", "!", "→")
    console.print(_group("Machine", machine(description)), "")
    console.print(_group("Memory and channels", memory(description)), "")
    console.print(_group("Software", software(description)), "")
    if interval is not None:
        console.print(_group(f"Measured for {interval.seconds:.1f} s", activity(interval)), "")
    reasons = [(ok if reason is None else bad, name, reason or "usable") for name, reason in backends.items()]
    console.print(_marked("Preprocess backends", reasons), "")
    console.print(_checks(verdicts, ok, bad, advice))


def machine(description: dict[str, Any]) -> Rows:
    """Label and text for processor, clock rates and the limits on them."""
    cpu, platform, group = description["cpu"], description["platform"], description["cgroup"]
    quota, limit, load = group["cpu_quota_cores"], group["memory_limit_mb"], description["load_average"]
    cores = [
        f"{cpu['usable_cores']:g} usable",
        f"{cpu['logical_cores']} logical",
        f"{cpu['physical_cores'] or '?'} physical",
        f"SMT {_switch(cpu['smt'])}",
        f"NUMA nodes: {cpu['numa_nodes'] or '?'}",
    ]
    limits = [
        "no CPU quota" if quota is None else f"CPU quota {quota:g} cores",
        "no memory limit" if limit is None else f"memory limit {_size(limit)}",
    ]
    return [
        ("processor", cpu["model"] or NOT_TOLD),
        ("cores", ", ".join(cores)),
        ("affinity", NOT_TOLD if cpu["affinity"] is None else f"CPU {format_cpus(cpu['affinity'])}"),
        ("vectors", _vectors(cpu["simd"])),
        ("clock rate", _clock_rate(cpu["mhz"])),
        ("governor", cpu["governor"] or NOT_TOLD),
        ("turbo", _switch(cpu["turbo"])),
        ("GPU", ", ".join(description["gpus"]) or "none"),
        ("system", f"{platform['system']} {platform['kernel']} {platform['machine']}, {_virtual(platform)}"),
        ("control group", ", ".join(limits) if group["version"] else "none"),
        ("load average", " ".join(f"{value:.2f}" for value in load) if load else NOT_TOLD),
    ]


def memory(description: dict[str, Any]) -> Rows:
    """Label and text for memory, swap, pipes and clocks."""
    found, pipes, clocks = description["memory"], description["pipes"], description["clocks"]
    largest, pages = pipes["max_size_bytes"], pipes["user_pages_soft"]
    swap = (
        f"{_size(found['swap_used_mb'])} of {_size(found['swap_total_mb'])} used" if found["swap_total_mb"] else "none"
    )
    clock = [
        clocks["source"] or "source unknown",
        f"steps of {clocks['resolution_ns']['monotonic']:g} ns",
        f"{clocks['read_cost_ns']:.0f} ns a read",
    ]
    piped = [
        f"at most {_size((largest or 0) / 1e6)} each",
        f"{pages:,} pages in all for a user" if pages else "no limit for a user",
    ]
    return [
        ("memory", f"{_size(found['total_mb'])}, {_size(found['available_mb'])} available"),
        ("swap", swap),
        ("huge pages", found["transparent_huge_pages"] or NOT_TOLD),
        ("nameless memory", "memfd works" if description["memfd"] else "no memfd"),
        ("/dev/shm", _size(found["dev_shm_mb"])),
        ("pipes", ", ".join(piped) if largest else NOT_TOLD),
        ("clock", ", ".join(clock)),
    ]


def software(description: dict[str, Any]) -> Rows:
    """Label and text for Python, libraries, the project's commit and the environment variables."""
    python, libraries, git = description["python"], description["libraries"], description["git"]
    commit = "not a checkout" if git is None else git["commit"][:12] + (", with changes" if git["dirty"] else "")
    installed = [f"{name}=={version}" for name, version in libraries.items() if version]
    variables = [f"{name}={value}" for name, value in description["environment"].items()]
    return [
        ("Python", f"{python['implementation']} {python['version']}, {python['compiler']}"),
        ("libraries", " ".join(installed)),
        ("not installed", " ".join(name for name, version in libraries.items() if not version) or "-"),
        ("commit", commit),
        ("environment", " ".join(variables) or "no variable that matters"),
    ]


def activity(interval: host.Interval) -> Rows:
    """Label and text for what the host did during the interval."""
    shares = [(name, getattr(interval, name)) for name in ("user", "system", "steal", "idle")]
    cpu = [f"{name} {share:.1%}" for name, share in shares if share is not None]
    paging = [(interval.major_faults, "major faults"), (interval.pages_swapped_in, "pages swapped in")]
    paging.append((interval.pages_swapped_out, "out"))
    switches = interval.context_switches
    rows = [
        ("CPU time", ", ".join(cpu) or NOT_TOLD),
        ("switches", NOT_TOLD if switches is None else f"{switches / interval.seconds:,.0f} context switches a second"),
        ("paging", ", ".join(f"{number:,} {what}" for number, what in paging if number is not None) or NOT_TOLD),
    ]
    if interval.throttled_s is not None:
        rows.append(("throttled", f"{interval.throttled_s * 1e3:,.0f} ms"))
    return rows


def _group(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = _table(title)
    for label, value in rows:
        table.add_row("", Text(label, style="cyan"), Text(value))
    return table


def _marked(title: str, rows: Iterable[tuple[str, str, str]]) -> Table:
    table = _table(title)
    for mark, label, value in rows:
        table.add_row(
            Text(mark, style="bold yellow" if mark == "!" else "green"), Text(label, style="cyan"), Text(value)
        )
    return table


def _checks(verdicts: Sequence[host.Warning], ok: str, bad: str, advice: str) -> Table:
    harmful = [verdict for verdict in verdicts if verdict.level == "warning"]
    passed = [verdict.name for verdict in verdicts if verdict.level == "ok"]
    number = f"{len(harmful)} warning{'' if len(harmful) == 1 else 's'}" if harmful else "no warning"
    table = _marked(f"For latency: {number}", [])
    for verdict in harmful:
        text = Text.assemble(verdict.message, "\n", (f"{advice} {verdict.advice}", "italic"))
        table.add_row(Text(bad, style="bold yellow"), Text(verdict.name, style="cyan"), text)
    if passed:
        table.add_row(Text(ok, style="green"), Text("fine", style="cyan"), Text(", ".join(passed)))
    return table


def _table(title: str) -> Table:
    table = Table(box=None, show_header=False, title=title, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column(width=1)
    table.add_column(width=LABEL_WIDTH)
    table.add_column(max_width=WIDEST - LABEL_WIDTH, overflow="fold")
    return table


def _size(megabytes: float | None) -> str:
    return NOT_TOLD if megabytes is None else size(megabytes)


def _switch(value: bool | None) -> str:
    return NOT_TOLD if value is None else "on" if value else "off"


def _virtual(platform: dict[str, Any]) -> str:
    if platform["virtualised"] is None:
        return "virtual or not: unknown"
    if not platform["virtualised"]:
        return "no virtual machine"
    return "virtual machine" + (f" ({platform['hypervisor']})" if platform["hypervisor"] else "")


def _vectors(simd: dict[str, bool | None]) -> str:
    if all(present is None for present in simd.values()):
        return NOT_TOLD
    return " ".join(name for name, present in simd.items() if present) or "none of " + ", ".join(simd)


def _clock_rate(mhz: dict[str, float | None]) -> str:
    if mhz["current"] is None:
        return NOT_TOLD
    bounds = "" if mhz["min"] is None or mhz["max"] is None else f", between {mhz['min']:,.0f} and {mhz['max']:,.0f}"
    return f"{mhz['current']:,.0f} MHz now{bounds}"
