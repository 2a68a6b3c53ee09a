"""How a comparison ends: interrupted, by a worker's death, with results that cannot be saved."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness import records, store
from harness.studies.compare import folder

HARNESS = [sys.executable, "-m", "harness"]


@pytest.fixture
def endless(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A comparison in many short blocks."""
    process = subprocess.Popen(
        [*HARNESS, "compare", "pair.yaml", "--b", "stages.work.mean=6ms", "--blocks", "1000", "--requests", "10000"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_for_block(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        match = re.search(rb"block (\d+) of", line)
        if match and int(match[1]) >= number:
            return
    raise AssertionError(f"it never came to block {number}")


def gone(children: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(children, timeout=3)
    assert not [c for c in left if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_ctrl_c_saves_the_complete_blocks(place: Path, endless: subprocess.Popen[bytes]) -> None:
    wait_for_block(endless, 8)
    children = psutil.Process(endless.pid).children(recursive=True)
    os.killpg(endless.pid, signal.SIGINT)
    output, errors = endless.communicate(timeout=10)
    assert endless.returncode == 130
    assert b"Traceback" not in errors
    gone(children)
    (saved,) = (place / "results" / "pair").iterdir()
    document = folder.load(saved)
    assert document.status == "interrupted"
    assert document.blocks is not None and 7 <= document.blocks.complete < 1000
    (pair,) = document.comparisons
    assert pair.blocks == document.blocks.complete
    assert {e.metric: e.verdict for e in pair.effects}["stages.work.service.mean"] == "slower"
    assert b"complete of 1000" in output


@pytest.mark.slow
def test_a_worker_of_one_side_that_is_killed_ends_it_and_what_was_measured_is_saved(
    place: Path, endless: subprocess.Popen[bytes]
) -> None:
    wait_for_block(endless, 8)
    children = psutil.Process(endless.pid).children(recursive=True)
    max(children, key=lambda child: (child.create_time(), child.pid)).kill()
    _, errors = endless.communicate(timeout=10)
    assert endless.returncode == 1
    assert b"error: side b: stage work, process work-0" in errors
    assert b"Traceback" not in errors
    gone(children)
    (saved,) = (place / "results" / "pair").iterdir()
    document = folder.load(saved)
    assert document.status == "failed"
    assert document.blocks is not None and document.blocks.complete >= 7
    assert "SIGKILL" in (saved / "failure.txt").read_text()
    assert len(records.load(saved / "a" / store.RECORDS)[0]) >= 7 * 13


@pytest.mark.slow
def test_results_that_cannot_be_saved_are_saved_elsewhere(place: Path) -> None:
    (place / "results").mkdir()
    (place / "results" / "images").write_text("a file")
    (place / "tmp").mkdir()
    done = subprocess.run(
        [*HARNESS, "compare", "images.yaml", "images.yaml", "--blocks", "2"],
        cwd=place, capture_output=True, text=True, timeout=120, env={**os.environ, "TMPDIR": str(place / "tmp")},
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot save the comparison here" in done.stderr
    assert "a against" in done.stdout or "b against a" in done.stdout
    (rescued,) = (place / "tmp").glob("harness-results-*/images/*")
    assert folder.load(rescued).status == "completed"
