"""How much memory a run may take: the least that the machine, any control group above it and its own limit leave."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host import limits, memory
from harness.host.limits import available_bytes

MIB = 1 << 20
MEMORY_V1 = Path("/sys/fs/cgroup/memory")
ASK = "from harness.host.memory import usable_bytes; print(usable_bytes())"


def v2(path: str, limit: str, used: int, inactive: int = 0, active: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup{path}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 1\nfile {inactive + active}\ninactive_file {inactive}\nactive_file {active}\n",
    }


def v1(path: str, limit: int, used: int, inactive: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory{path}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"inactive_file 1\nactive_file 2\ntotal_inactive_file {inactive}\n",
    }


# The machine


def test_a_full_page_cache_is_memory_that_may_be_used(tree):
    root = tree({"proc/meminfo": "MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable: 5000 kB\n"})
    assert memory.usable_bytes(root) == int(0.6 * 5000 * 1024)


# Control groups


def test_of_nested_version_2_groups_the_one_that_leaves_least_counts(tree):
    groups = {"proc/self/cgroup": "0::/pod/box\n", "sys/fs/cgroup/cgroup.controllers": "cpu memory\n"}
    root = tree({**groups, **v2("/pod", "4000", used=3500), **v2("/pod/box", "2000", used=1000)})
    assert available_bytes(root) == 500
    tree(v2("/pod", "max", used=3500))
    assert available_bytes(root) == 1000


def test_of_version_1_groups_too(tree):
    root = tree({"proc/self/cgroup": "4:memory:/a/b\n2:cpu:/\n0::/\n", **v1("/a", 4000, 3500), **v1("/a/b", 2000, 100)})
    assert available_bytes(root) == 500
    tree(v1("", 1 << 63, 0) | v1("/a", (1 << 63) - 4096, 3500))
    assert available_bytes(root) == 1900


def test_file_pages_of_a_group_are_left_to_it(tree):
    root = tree({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n"})
    tree(v2("", "1000", used=990, inactive=300, active=200))
    assert available_bytes(root) == 510
    tree(v2("", "1000", used=1100))  # over it for a moment
    assert available_bytes(root) == 0


def test_a_container_sees_its_own_group_at_the_mount_point(tree):
    assert available_bytes(tree({"proc/self/cgroup": "3:memory:/docker/4f2a\n", **v1("", 800, 300)})) == 500


def test_a_group_below_the_mounted_one_is_found_by_what_is_mounted(tree):
    root = tree(
        {
            "proc/self/cgroup": "3:memory:/pods/p1/c1\n",
            "proc/self/mountinfo": "35 31 0:32 /pods/p1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            **v1("", 4000, 0),
            **v1("/c1", 900, 200),
        }
    )
    assert available_bytes(root) == 700
    assert limits.limits(root).memory_limit_mb == 900 / 1e6


def test_without_a_limit_no_group_has_a_say(tree):
    assert available_bytes(tree({})) is None
    root = tree({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n", **v2("", "max", 10)})
    assert available_bytes(root) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=4))
def test_never_more_is_left_than_any_group_on_the_way_leaves(tmp_path_factory, levels):
    root, path = tmp_path_factory.mktemp("root"), ""
    contents = {"sys/fs/cgroup/cgroup.controllers": "memory\n"}
    for limit, used, cached in levels:
        path += "/g"
        contents |= v2(path, str(limit), used, inactive=cached)
    contents["proc/self/cgroup"] = f"0::{path}\n"
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert available_bytes(root) == min(max(0, limit - max(0, used - cached)) for limit, used, cached in levels)


@contextlib.contextmanager
def control_group(limit: int):
    """A real version 1 group with a memory limit, below this process's own. Skips where none can be made."""
    own = next(
        (line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line), ""
    )
    folder = MEMORY_V1 / own.strip("/") / f"test-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made: {error.strerror}")
    try:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        yield folder
    finally:
        folder.rmdir()


def in_group(folder: Path, code: str) -> str:
    """What Python prints that joins the group before it starts."""
    join = f'echo $$ > {folder}/cgroup.procs && exec {sys.executable} -c "$0"'
    return subprocess.run(["sh", "-c", join, code], check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_limit_of_a_real_control_group_holds_and_its_page_cache_does_not_count(tmp_path):
    data = tmp_path / "data"
    fill = f"import os; f = open({str(data)!r}, 'wb'); f.write(bytes(96 << 20)); f.flush(); os.fsync(f.fileno()); "
    with control_group(192 * MIB) as group:
        show_used = f"print(open('{group}/memory.usage_in_bytes').read()); "
        used, usable = map(int, in_group(group, fill + show_used + ASK).split())
    if used < 96 * MIB:
        pytest.skip("the file is on a file system whose pages are no page cache of the group")
    assert 0.6 * 110 * MIB < usable < 0.6 * 192 * MIB


# The process's own limit


def test_a_limit_on_the_address_space_counts():
    limited = f"ulimit -v {400 * 1024} && exec {sys.executable} -c '{ASK}'"
    usable = int(subprocess.run(["sh", "-c", limited], check=True, capture_output=True, timeout=60).stdout)
    assert 0 < usable < 0.6 * 400 * MIB


def test_here_and_now_something_may_be_used():
    assert 0 < memory.usable_bytes() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
