"""What this process may use: captured control groups of both versions, and a real affinity."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.host import limits

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


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
