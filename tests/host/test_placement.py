"""The CPUs of threads, read back from the kernel, and the memory nodes that captured files give them."""

from __future__ import annotations

import os
import threading

import pytest

from harness.host import placement

NODES = {
    "sys/devices/system/cpu/online": "0-7,16\n",
    "sys/devices/system/node/node0/cpulist": "0-3,16\n",
    "sys/devices/system/node/node1/cpulist": "4-7\n",
    "sys/devices/system/node/node2/cpulist": "\n",  # memory without CPUs
}


@pytest.mark.parametrize(("cpus", "nodes"), [([0, 3], (0,)), ([3, 4], (0, 1)), ([16], (0,)), ([9], ())])
def test_the_nodes_of_cpus(tree, cpus, nodes):
    assert placement.numa_nodes(cpus, tree(NODES)) == nodes


def test_the_cpus_that_there_are(tree, tmp_path):
    assert placement.online(tmp_path) == placement.numa_nodes([0], tmp_path) == ()
    assert placement.online(tree(NODES)) == (*range(8), 16)


def test_every_thread_of_a_process_counts_and_only_the_calling_one_is_pinned():
    mine = placement.of_thread()
    seen = []

    def pinned() -> None:
        placement.pin_thread(mine[:1])
        seen.append((placement.of_thread(), placement.of_process()))

    thread = threading.Thread(target=pinned)
    thread.start()
    thread.join()
    assert seen == [(mine[:1], mine)]
    assert placement.of_thread() == mine == tuple(sorted(os.sched_getaffinity(0)))
