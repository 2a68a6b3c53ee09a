"""The processor: model, vector instructions, cores, clock rates, and whether a hypervisor stands below."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from harness.host import files, limits
from harness.host.files import ROOT

CPUS = "sys/devices/system/cpu"

# The names that the kernel gives to the features, for x86-64 and for 64-bit Arm.
SIMD_FLAGS = {
    "avx2": {"avx2"},
    "avx512": {"avx512f"},
    "vnni": {"avx512_vnni", "avx_vnni"},
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "neon": {"asimd", "neon"},
}

VIRTUAL_FIRMWARE = (
    "QEMU",
    "KVM",
    "VMware",
    "VirtualBox",
    "Virtual Machine",
    "Amazon EC2",
    "Google Compute Engine",
    "Xen",
)


def processor(root: Path = ROOT) -> dict[str, Any]:
    """Model, cores, affinity, SIMD levels, clock rates (MHz), turbo, SMT and NUMA nodes; None where not known."""
    info = files.text(root, "proc/cpuinfo") or ""
    allowed = limits.affinity()
    return {
        "model": model(info),
        "logical_cores": os.cpu_count(),
        "physical_cores": physical_cores(root),
        "affinity": allowed,
        "usable_cores": limits.usable_cores(root),
        "usable_physical_cores": physical_cores(root, allowed),
        "simd": simd(info, platform.machine()),
        **frequency(root, info, allowed),
        "turbo": turbo(root),
        "smt": smt(root),
        "numa_nodes": numa_nodes(root),
    }


def model(info: str) -> str | None:
    """The processor's name from the text of /proc/cpuinfo, which Arm kernels leave out, else what Python knows."""
    fields = files.keyed(info)
    return fields.get("model name") or fields.get("Model") or platform.processor() or None


def flags(info: str) -> set[str] | None:
    """The feature names of the first processor in the text of /proc/cpuinfo, None where it lists none."""
    fields = files.keyed(info)
    written = fields.get("flags") or fields.get("Features")
    return None if written is None else set(written.split())


def simd(info: str, machine: str) -> dict[str, bool | None]:
    """Which of the vector instruction sets of SIMD_FLAGS the processor has; None where it cannot be told."""
    present = flags(info)
    if present is None:
        arm = machine in ("arm64", "aarch64")
        return {name: True if arm and name == "neon" else None for name in SIMD_FLAGS}
    return {name: bool(names & present) for name, names in SIMD_FLAGS.items()}


def physical_cores(root: Path = ROOT, cpus: list[int] | None = None) -> int | None:
    """The number of physical cores that the given logical CPUs (default all) lie on."""
    cores = set()
    for folder in files.folders(root / CPUS, "cpu[0-9]*/topology"):
        if cpus is None or int(folder.parent.name.removeprefix("cpu")) in cpus:
            cores.add((files.integer(folder, "physical_package_id"), files.integer(folder, "core_id")))
    if cores or root != ROOT:
        return len(cores) or None
    import psutil

    return psutil.cpu_count(logical=False)


def frequency(root: Path, info: str, cpus: list[int] | None) -> dict[str, Any]:
    """The scaling governors in use over the given CPUs and the current, lowest and highest clock rate in MHz."""
    folders = [
        folder
        for folder in files.folders(root / CPUS, "cpu[0-9]*/cpufreq")
        if cpus is None or int(folder.parent.name.removeprefix("cpu")) in cpus
    ]
    governors = sorted({governor for folder in folders if (governor := files.text(folder, "scaling_governor"))})
    current = [mhz for folder in folders if (mhz := files.number(folder, "scaling_cur_freq", scale=1e-3)) is not None]
    written = files.keyed(info).get("cpu MHz")
    if not current and written:
        current = [float(written)]
    first = folders[0] if folders else root / CPUS / "cpu0/cpufreq"
    return {
        "governor": ", ".join(governors) or None,
        "mhz": {
            "current": round(sum(current) / len(current), 1) if current else None,
            "min": files.number(first, "cpuinfo_min_freq", scale=1e-3),
            "max": files.number(first, "cpuinfo_max_freq", scale=1e-3),
        },
    }


def turbo(root: Path = ROOT) -> bool | None:
    """Whether the clock rate may exceed its nominal value, None where the driver does not say."""
    no_turbo = files.integer(root, f"{CPUS}/intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == 0
    boost = files.integer(root, f"{CPUS}/cpufreq/boost")
    return None if boost is None else boost != 0


def smt(root: Path = ROOT) -> bool | None:
    """Whether two or more logical CPUs share a physical core, None where the kernel does not say."""
    active = files.integer(root, f"{CPUS}/smt/active")
    return None if active is None else active != 0


def numa_nodes(root: Path = ROOT) -> int | None:
    """The number of memory nodes, None where the kernel does not say."""
    return len(files.folders(root, "sys/devices/system/node/node[0-9]*")) or None


def virtualisation(root: Path = ROOT) -> dict[str, Any]:
    """`virtualised`: whether this is a virtual machine (None: not known); `hypervisor`: its name where it is told."""
    kind = files.text(root, "sys/hypervisor/type")
    if kind:
        return {"virtualised": True, "hypervisor": kind}
    firmware = " ".join(files.text(root, f"sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name"))
    named = next((mark for mark in VIRTUAL_FIRMWARE if mark in firmware), None)
    if named and "metal" not in firmware:
        return {"virtualised": True, "hypervisor": named}
    written = files.keyed(files.text(root, "proc/cpuinfo") or "").get("flags")
    # Only x86 processors tell a guest that it is one; on Arm the silence means nothing.
    return {"virtualised": None if written is None else "hypervisor" in written.split(), "hypervisor": None}
