"""A run for whose end there is no memory or descriptor: refused before it starts, or saved all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import store

SCENARIO = """
name: short_of_memory
executor: asyncio
load: {arrivals: constant, rate: 300/s, requests: 100, warmup: 0}
stages: [{delay: {mean: 1 ms}}]
"""
LIMITED = """
import os, resource, sys
from pathlib import Path
from harness.commands import run
from harness.plan import resolve
from harness.report.live import run as live
from harness.scenario import load
from harness.studies.run.libraries import room_for_the_end
from harness.studies.run.measure import measure
from harness.__main__ import main

def limit(more):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))

def no_more_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    while True:
        try:
            os.open(os.devnull, os.O_RDONLY)
        except OSError:
            return

more, moment = int(sys.argv[1]), sys.argv[2]
if moment == "before":
    limit(more)
    sys.argv[1:] = ["run", "scenario.yaml", "--out", "out", "--quiet"]
    main()
elif moment == "files":
    room = room_for_the_end()
    no_more_files()
    room.close()
    with Path("out").open("w") as file, Path("scenario.yaml").open():
        file.write("saved")
else:
    measured = measure(resolve(load("scenario.yaml")), "", Path("out"), lambda progress: limit(more))
    raise SystemExit(not measured.saved)
"""


def limited(folder: Path, more_mib: int, moment: str) -> subprocess.CompletedProcess[str]:
    (folder / "scenario.yaml").write_text(SCENARIO)
    command = [sys.executable, "-c", LIMITED, str(more_mib), moment]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("more_mib", [60, 300])
def test_too_little_address_space_is_said_before_the_load(tmp_path: Path, more_mib: int) -> None:
    done = limited(tmp_path, more_mib, "before")
    assert done.returncode == 1
    assert done.stderr.startswith("error: `ulimit -v` leaves")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more_mib", [0, 64])
def test_a_run_that_meets_its_limit_while_it_lasts_is_saved(tmp_path: Path, more_mib: int) -> None:
    """Without any more not even a thread can be started: then it is saved as failed."""
    done = limited(tmp_path, more_mib, "while it lasts")
    assert done.returncode == 0, done.stderr
    (saved,) = store.list_runs(tmp_path / "out")
    assert saved.summary.status == ("completed" if more_mib else "failed")
    assert saved.summary.requests.completed == len(saved.records) == (100 if more_mib else 0)


def test_the_files_of_a_run_can_be_opened_though_every_descriptor_was_taken_while_it_lasted(tmp_path: Path) -> None:
    done = limited(tmp_path, 0, "files")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "saved"
