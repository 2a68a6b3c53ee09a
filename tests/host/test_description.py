"""The description of the host: captured files say what they should, and this machine's figures agree with psutil."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap

import psutil
import pytest

from harness import host
from harness.host import description

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


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
