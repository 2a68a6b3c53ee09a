"""The host: captured kernel files say what they should, and this machine's figures agree with psutil."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from harness import host
from harness.host import cpu, description, files, limits, software

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

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


@pytest.fixture
def tree(tmp_path: Path):
    """Write files below a root: tree({path: text}) returns the root."""

    def write(contents: dict[str, str]) -> Path:
        for path, text in contents.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return write


def test_an_unreadable_file_is_none(tmp_path):
    assert files.text(tmp_path, "absent") is None
    assert files.text(tmp_path.parent, tmp_path.name) is None  # a folder
    assert files.integer(tmp_path, "absent") is None


def test_a_counter_is_found_by_its_whole_name():
    assert files.count("pgfault 5\npswpin_other 6\nother_pswpin 6\npswpin 7", "pswpin") == 7
    assert files.count("pswpin_other 6", "pswpin") is None


# Control groups


def test_a_version_2_quota_of_an_ancestor_holds(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/pod/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/pod/memory.max": "4000000000\n",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
        }
    )
    found = limits.limits(root)
    assert found == limits.Limits(2, 1.5, 4000.0, "sys/fs/cgroup/pod/cpu.stat")


def test_the_tighter_of_two_version_2_limits_holds(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/a/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/a/memory.max": "1000000000\n",
            "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/a/b/memory.max": "2000000000\n",
        }
    )
    found = limits.limits(root)
    assert (found.cpu_quota_cores, found.memory_limit_mb) == (0.5, 1000.0)
    assert found.throttling_file == "sys/fs/cgroup/a/b/cpu.stat"


def test_a_version_1_limit_is_read_from_the_mount_when_the_path_is_the_hosts(tree):
    root = tree(
        {
            "proc/self/cgroup": "9:memory:/docker/4f2a\n4:cpu,cpuacct:/docker/4f2a\n1:name=systemd:/\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
        }
    )
    found = limits.limits(root)
    assert (found.version, found.cpu_quota_cores) == (1, 2.5)
    assert found.memory_limit_mb == pytest.approx(536.870912)
    assert found.throttling_file == "sys/fs/cgroup/cpu,cpuacct/cpu.stat"


def test_version_1_writes_no_limit_as_minus_one_and_as_a_huge_number(tree):
    root = tree(
        {
            "proc/self/cgroup": "2:memory:/\n1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        }
    )
    assert limits.limits(root) == limits.Limits(1, None, None, None)


def test_without_control_groups_there_are_no_limits(tmp_path):
    assert limits.limits(tmp_path) == limits.Limits(None, None, None, None)


@linux
def test_a_quota_below_the_affinity_bounds_the_usable_cores(tree):
    group = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n"}
    assert limits.usable_cores(tree(group)) == len(os.sched_getaffinity(0))
    assert limits.usable_cores(tree({"sys/fs/cgroup/cpu.max": "25000 100000\n"})) == 0.25
    assert limits.usable_cores(tree({"sys/fs/cgroup/cpu.max": "99999900000 100000\n"})) == len(os.sched_getaffinity(0))


@linux
def test_pinning_a_process_changes_its_usable_cores():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from harness import host; print(host.usable_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1.0


# Processor


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


# Description


def test_memory_is_in_units_of_a_million_bytes(tree):
    meminfo = """\
        MemTotal:       16000000 kB
        MemAvailable:    8000000 kB
        SwapTotal:       2000000 kB
        SwapFree:        1500000 kB
        """
    pages = "sys/kernel/mm/transparent_hugepage/enabled"
    found = description.memory(tree({"proc/meminfo": textwrap.dedent(meminfo), pages: "always [madvise] never\n"}))
    assert found["total_mb"] == 16384.0
    assert found["available_mb"] == 8192.0
    assert found["swap_used_mb"] == 512.0
    assert found["transparent_huge_pages"] == "madvise"
    assert found["dev_shm_mb"] is None


def test_gpus_are_named_by_the_driver_without_running_anything(tree):
    assert description.gpus(tree({})) == []
    assert description.gpus(tree({"dev/nvidia0": "", "dev/nvidiactl": ""})) == ["nvidia0"]
    info = "proc/driver/nvidia/gpus/0000:01:00.0/information"
    assert description.gpus(tree({info: "Model: \t\t NVIDIA L4\nIRQ:   \t\t 11\n"})) == ["NVIDIA L4"]


def test_the_environment_keeps_what_changes_speed_and_nothing_else():
    given = {"OMP_NUM_THREADS": "4", "NUMBA_CPU_NAME": "generic", "SECRET_TOKEN": "x", "MALLOC_ARENA_MAX": "2"}
    assert set(software.environment(given)) == {"OMP_NUM_THREADS", "NUMBA_CPU_NAME", "MALLOC_ARENA_MAX"}


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert software.commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")  # as inside a hook
    found = software.commit(tmp_path)
    monkeypatch.delenv("GIT_DIR")
    assert found == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("b")
    assert software.commit(tmp_path)["dirty"] is True
    (tmp_path / "below").mkdir()
    assert software.commit(tmp_path / "below") is None


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert software.commit(tmp_path) is None


def test_the_description_is_json_and_names_nobody():
    written = json.dumps(host.describe(), allow_nan=False)
    found = json.loads(written)
    assert found["cpu"]["logical_cores"] == os.cpu_count()
    assert found["libraries"]["psutil"] == psutil.__version__
    assert socket.gethostname() not in [word for part in found["platform"].values() for word in str(part).split()]


@linux
def test_the_description_agrees_with_psutil():
    found = host.describe()
    memory = psutil.virtual_memory()
    assert found["memory"]["total_mb"] == pytest.approx(memory.total / 1e6, rel=1e-3)
    assert found["memory"]["available_mb"] == pytest.approx(memory.available / 1e6, rel=0.2)
    assert found["memory"]["swap_total_mb"] == pytest.approx(psutil.swap_memory().total / 1e6, abs=1)
    assert found["cpu"]["physical_cores"] == psutil.cpu_count(logical=False)
    assert found["cpu"]["affinity"] == sorted(psutil.Process().cpu_affinity())
    assert 0 < found["clocks"]["read_cost_ns"] < 100_000


def test_a_system_that_tells_nothing_is_described_by_nones(tmp_path):
    found = description.describe(tmp_path)
    json.dumps(found, allow_nan=False)
    assert found["cpu"]["governor"] is None
    assert found["memory"]["total_mb"] is None
    assert found["cgroup"]["version"] is None
    assert host.warnings(found)  # and can still be judged


def test_the_module_is_light():
    code = "import sys; from harness import host; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "psutil", "click", "rich", "torch", "numba", "subprocess", "importlib.metadata", "asyncio"}
    assert not heavy & set(done.stdout.split())
