"""The processor: captured kernel files of several machines."""

from __future__ import annotations

import pytest

from harness.host import cpu

CPUINFO_X86 = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
cpu MHz\t\t: 2000.000
flags\t\t: fpu sse2 avx avx2 fma avx512f avx512_vnni

processor\t: 1
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
cpu MHz\t\t: 2000.000
flags\t\t: fpu
"""
CPUINFO_ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd evtstrm aes bf16\n"


def test_vector_levels_come_from_the_flags_of_the_first_processor():
    assert cpu.simd(CPUINFO_X86, "x86_64") == {
        "avx2": True,
        "avx512": True,
        "vnni": True,
        "bf16": False,
        "neon": False,
    }
    assert cpu.simd(CPUINFO_ARM, "aarch64")["neon"] is True
    assert cpu.simd(CPUINFO_ARM, "aarch64")["bf16"] is True
    assert cpu.simd("", "x86_64")["avx2"] is None
    assert cpu.simd("", "arm64")["neon"] is True


def test_the_model_is_read(tree):
    assert cpu.model(CPUINFO_X86) == "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"


def test_clock_rates_and_governors_of_the_usable_cpus(tree):
    folder = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
    contents = {}
    for number, (governor, khz) in enumerate([("powersave", 800000), ("performance", 3200000), ("schedutil", 1)]):
        contents[folder.format(number, "scaling_governor")] = governor + "\n"
        contents[folder.format(number, "scaling_cur_freq")] = f"{khz}\n"
        contents[folder.format(number, "cpuinfo_min_freq")] = "800000\n"
        contents[folder.format(number, "cpuinfo_max_freq")] = "3500000\n"
    found = cpu.frequency(tree(contents), CPUINFO_X86, [0, 1])
    assert found == {"governor": "performance, powersave", "mhz": {"current": 2000.0, "min": 800.0, "max": 3500.0}}


def test_without_a_frequency_driver_the_clock_rate_is_that_of_cpuinfo(tmp_path):
    found = cpu.frequency(tmp_path, CPUINFO_X86, None)
    assert found == {"governor": None, "mhz": {"current": 2000.0, "min": None, "max": None}}


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({"intel_pstate/no_turbo": "0"}, True),
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({}, None),
    ],
)
def test_turbo(tree, contents, expected):
    root = tree({f"sys/devices/system/cpu/{path}": text + "\n" for path, text in contents.items()})
    assert cpu.turbo(root) is expected


def test_hyperthreads_of_one_core_count_once(tree):
    cores = [(0, 0), (0, 1), (0, 0), (0, 1), (1, 0), (1, 0)]
    contents = {"sys/devices/system/cpu/smt/active": "1\n"}
    for number, (package, core) in enumerate(cores):
        contents[f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id"] = f"{package}\n"
        contents[f"sys/devices/system/cpu/cpu{number}/topology/core_id"] = f"{core}\n"
    root = tree(contents)
    assert cpu.physical_cores(root) == 3
    assert cpu.physical_cores(root, [0, 2]) == 1
    assert cpu.smt(root) is True


@pytest.mark.parametrize(
    ("info", "vendor", "product", "expected"),
    [
        (CPUINFO_X86, "", "", (False, None)),
        (CPUINFO_X86.replace("fpu sse2", "fpu hypervisor"), "", "", (True, None)),
        (CPUINFO_X86, "Amazon EC2", "c5.metal", (False, None)),
        (CPUINFO_X86, "Microsoft Corporation", "Virtual Machine", (True, "Virtual Machine")),
        (CPUINFO_ARM, "", "", (None, None)),
        (CPUINFO_ARM, "QEMU", "KVM Virtual Machine", (True, "QEMU")),
    ],
)
def test_a_virtual_machine_is_known_by_its_flag_or_its_firmware(tree, info, vendor, product, expected):
    firmware = {"sys/class/dmi/id/sys_vendor": vendor, "sys/class/dmi/id/product_name": product}
    found = cpu.virtualisation(tree({"proc/cpuinfo": info, **firmware}))
    assert (found["virtualised"], found["hypervisor"]) == expected


def test_a_xen_guest_is_known_by_its_hypervisor_folder(tree):
    assert cpu.virtualisation(tree({"sys/hypervisor/type": "xen\n"})) == {"virtualised": True, "hypervisor": "xen"}
