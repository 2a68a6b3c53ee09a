"""What `python -m benchmarks.faults` draws can be run, and what it is to find it finds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks.faults import processes
from benchmarks.faults.catalogue import CELLS, FAULTS
from benchmarks.faults.judging import CLAIMS, Observed, judge
from benchmarks.faults.pipelines import OWN, PREPROCESS, draw
from benchmarks.faults.rounds import Round
from benchmarks.faults.table import table
from benchmarks.faults.trial import Trial, expected, to_its_end
from harness.plan import resolve
from harness.scenario import load
from tests.documents import ROOT

FAULTY_FREE = Observed(
    in_time=True, seconds=1.0, code=0, said="", begun=True, left=[], memory=0,
    at_exit={"descriptors": {"0": "/dev/null"}, "threads": [], "memory": []}, saved=None, rescued=False, files=[],
)  # fmt: skip


def drawn(number: int) -> Trial:
    rng = Random(f"7:{number}")
    fault, executor = CELLS[number % len(CELLS)]
    return fault.draw(draw(rng, executor), rng)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_every_fault_comes_with_a_scenario_that_is_valid(number: int, tmp_path: Path) -> None:
    for again in range(3):
        trial = drawn(number + again * len(CELLS))
        for name, content in {f"{OWN}.py": PREPROCESS, **trial.files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        (tmp_path / "scenario.yaml").write_text(trial.pipeline.text)
        assert resolve(load(tmp_path / "scenario.yaml")).scenario.executor == CELLS[number][1]


def test_a_round_is_drawn_the_same_again() -> None:
    for number in range(len(CELLS)):
        first, second = drawn(number), drawn(number)
        assert (first.what, first.pipeline.text, first.prefix, first.files) == (
            second.what, second.pipeline.text, second.prefix, second.files,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "seen"),
    [
        ("in time", {"in_time": False, "code": -6}),
        ("exit code", {"code": 1, "said": "error: x"}),
        ("errors", {"said": "Traceback (most recent call last):"}),
        ("processes", {"left": ["sleep 1000 (pid 1)"]}),
        ("descriptors", {"at_exit": {"descriptors": {"7": "pipe:[1]"}, "threads": [], "memory": []}}),
        ("descriptors", {"at_exit": {"descriptors": {}, "threads": ["images"], "memory": []}}),
        ("memory", {"at_exit": {"descriptors": {}, "threads": [], "memory": ["/memfd:harness-images"]}}),
        ("memory", {"left": ["python (pid 1)"], "memory": 3}),
        ("files", {"files": ["out/faults/.unfinished-x"]}),
    ],
)
def test_what_is_left_late_or_wrong_is_found(claim: str, seen: dict) -> None:  # type: ignore[type-arg]
    pipeline = drawn(0).pipeline
    wanted = to_its_end(pipeline, saved=False)
    assert judge(pipeline, wanted, FAULTY_FREE) == {}
    assert claim in judge(pipeline, wanted, replace(FAULTY_FREE, **seen))


def test_a_run_that_had_begun_has_to_be_saved_unless_its_supervisor_was_killed() -> None:
    pipeline = drawn(0).pipeline
    assert judge(pipeline, expected(130), replace(FAULTY_FREE, code=130)) == {"saved": "nothing was saved"}
    killed = replace(FAULTY_FREE, code=-signal.SIGKILL, at_exit=None, files=["out/faults/.unfinished-x"])
    assert judge(pipeline, expected(-signal.SIGKILL, saved=False), killed) == {}
    assert "saved" in judge(pipeline, expected(1), replace(killed, code=-signal.SIGKILL))


def test_the_table_counts_what_held_and_names_what_was_skipped() -> None:
    one = Round(0, "signal", "asyncio", "", {}, True, True, 1.25, 130, "", "", "", "")
    text = table([one, replace(one, wrong={"saved": "nothing"}, hit=False, seconds=2.0)], {"full-disk": "needs root"})
    held = " | ".join("1 of 2" if claim == "saved" else "2 of 2" for claim in CLAIMS)
    assert f"| signal | asyncio | 2 | 1 | {held} | 2.0 |" in text
    assert "Skipped: full-disk: needs root." in text


def test_an_orphan_of_an_orphan_is_found_by_its_mark() -> None:
    grandchild = "import os, time\nos.fork() and os._exit(0)\nos.setsid()\nos.fork() and os._exit(0)\ntime.sleep(60)"
    mark = f"test-{os.getpid()}"
    subprocess.run([sys.executable, "-c", grandchild], env={**os.environ, processes.MARK: mark}, check=True)
    try:
        assert len(processes.gone(mark, 0.2)) == 1
    finally:
        processes.kill(mark)
    assert processes.marked(mark) == []


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.faults", *arguments]


@pytest.mark.slow
def test_some_rounds_go_well(tmp_path: Path) -> None:
    only = ("kill-child", "signal", "raise")
    done = subprocess.run(
        command("--rounds", "9", "--seed", "3", "--only", *only), cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all |  | 9 |" in done.stdout
    killed = re.search(r"\| kill-child \| process \| 3 \| (\d) \|", done.stdout)
    assert killed is not None and int(killed[1]) > 0, "a worker was found and killed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(command(), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("harness-faults-*/*/stderr.txt")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    here = [pid for pid in processes._pids() if str(tmp_path) in processes.command(pid)]
    assert here == []


def test_the_page_lists_every_fault() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    for fault in FAULTS:
        assert f"| `{fault.name}` |" in page
