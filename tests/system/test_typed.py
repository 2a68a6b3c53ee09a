"""A type checker sees the public API as typed: mypy --strict passes what is right and finds what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT

RIGHT = """
import harness
from harness import Comparison, Run, twin

run: Run = harness.run("resnet18_cpu", {"load.rate": "20/s"}, progress=False)
p99: float | None = run.summary.e2e.p99
low: float | None = run.summary.e2e.p99_interval[0]
wait: float | None = run.summary.stages["inference"].queue_wait.p99
arrivals: str = run.scenario.load.arrivals
newest: Run = harness.runs()[0]
compared: Comparison = harness.compare(run, newest, fail_if=["e2e.p99 > +5%"])
status: str = compared.result.status
carried: harness.Search = harness.capacity({"name": "x"}, {"p99": "1 s"}, vary={"stages.x.workers": [1, 2]})
rate: float | None = harness.simulate("x", run=run).result.baseline.throughput_rps
folder: str = str(harness.sweep("x", ["load.rate=1..3/1/s"]).path)
sojourn_ns: int = int(twin.simulate([1, 2], [3, 4], workers=2).sojourn[0])
try:
    harness.run("x")
except harness.Interrupted as interrupted:
    print(interrupted.signal)
except harness.HarnessError as error:
    print(error.saved, error.hint)
"""
WRONG = """
import harness

harness.run(5)
harness.run("x").summary.e2e.p98
harness.no_such_name
number: int = harness.open_run("last")
"""


@pytest.mark.slow
def test_mypy_passes_what_is_right_and_finds_each_thing_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    arguments = ("--strict", "--follow-imports=silent", "--no-error-summary", "right.py", "wrong.py")
    here = {**os.environ, "MYPYPATH": str(ROOT)}  # where it is installed as a checkout
    command = [sys.executable, "-m", "mypy", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.partition(": error")[0] for line in lines] == [f"wrong.py:{number}" for number in (4, 5, 6, 7)], done
