"""The capacity command: what it refuses, and real runs that it saves and is interrupted in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands import cli
from harness.errors import HarnessError, UsageError
from harness.scenario import parse_axes
from harness.store import list_runs
from harness.studies import capacity
from harness.studies.capacity import check_load
from tests.pipelines import plan
from tests.studies.capacity.searching import (
    delay,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slo", "p98=1s"], "expected a statistic and its limit"),
        (["--slo", "p99=150"], "a duration with its unit"),
        (["--slo", "p99=0ms"], "in no time"),
        (["--slo", "p99=1s", "--slo", "p99=2s"], "limited twice"),
        ([], "no slo"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers"], "KEY=VALUE"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers=1,,2"], "expected a value"),
        (["--slo", "p99=1s", "--vary", "load.rate=1/s,2/s"], "what is sought"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers=0,1"], "expected at least 1, got 0"),
        (["--slo", "p99=1s", "--set", "load.rate=3/s"], "the search itself sets load.rate"),
        (["--slo", "p99=1s", "--set", "load.arrivals=closed"], "a closed load has no rate"),
        (["--slo", "p99=1s", "--time-limit", "10"], "a duration with its unit"),
        (["--set", "slo.max=1s"], "grows with the number of requests"),
        # the names that these options had before
        (["--slo", "p99=1s", "--over", "stages.server.workers=0,1"], "expected at least 1, got 0"),
        (["--slo", "p99=1s", "--budget", "10"], "--time-limit 10: expected a duration with its unit"),
    ],
)
def test_bad_usage_is_refused_before_anything_runs(tmp_path: Path, arguments: list[str], said: str) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(ONE)
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(
            cli, ["capacity", str(file), "--out", str(tmp_path / "out"), *arguments], catch_exceptions=False
        )
    assert not (tmp_path / "out").exists()


def test_former_names_of_options_are_in_no_help() -> None:
    told = CliRunner().invoke(cli, ["capacity", "--help"]).stdout
    assert "--vary" in told and "--time-limit" in told
    assert "--over" not in told and "--budget" not in told


def test_a_list_is_one_value_of_a_key() -> None:
    axes = parse_axes(["stages.preprocess.resize=[256,320],224"])
    found = capacity.variants(ROOT / "scenarios/resnet18_cpu.yaml", (), axes)
    assert [variant.label for variant in found] == ["preprocess.resize=[256,320]", "preprocess.resize=224"]


@pytest.mark.parametrize("within", ["0", "51%", "five"])
def test_a_width_that_no_interval_can_have_is_refused(tmp_path: Path, within: str) -> None:
    arguments = ["capacity", str(tmp_path / "one.yaml"), "--slo", "p99=1s", "--within", within]
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 2
    assert f"'{within}' is not a share such as 5% or 0.05, from 0.001 to 0.5" in " ".join(refused.output.split())


def test_a_closed_load_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="has no rate"):
        check_load(plan(delay(), load={"arrivals": "closed", "requests": 10}))


# Real runs

ONE = """\
name: one
executor: asyncio
load: {arrivals: poisson, rate: 1/s, requests: 1, warmup: 10, seed: 1}
stages:
  - delay: {name: server, distribution: exponential, mean: 4 ms, capacity: 512}
"""


@pytest.mark.slow
def test_real_runs_are_saved_and_so_is_the_answer(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    done = CliRunner().invoke(
        cli,
        ["capacity", str(tmp_path / "one.yaml"), "--slo", "p99=400ms", "--run-length", "1s", "--within", "50%",
         "--set", "load.calibration=1s", "--out", str(tmp_path / "out"), "--json", str(tmp_path / "answer.json")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert json.loads(Path(answer["saved"]).read_text()) == answer
    runs = [run for row in answer["configurations"] for run in row["runs"]]
    assert {str(run.path) for run in list_runs(tmp_path / "out")} == {run["path"] for run in runs}
    assert len(runs) >= 4
    assert 0 < answer["answer"]["rate_rps"] < 250  # a service takes 4 ms at least


@pytest.mark.slow
def test_ctrl_c_shows_and_saves_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    command = [sys.executable, "-m", "harness", "capacity", str(tmp_path / "one.yaml"), "--slo", "p99=400ms"]
    command += ["--set", "load.calibration=1s", "--run-length", "1s", "--within", "0.1%", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(list_runs(tmp_path))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    (saved,) = (tmp_path / "one").glob("capacity-*/capacity.json")
    assert json.loads(saved.read_text())["status"] == "interrupted"
    assert "The search ended before" in output


@pytest.mark.slow
def test_an_slo_that_no_load_keeps_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    command = ["capacity", str(tmp_path / "one.yaml"), "--slo", "p50=1ms", "--run-length", "1s"]
    done = CliRunner().invoke(cli, [*command, "--set", "load.calibration=1s", "--out", str(tmp_path)])
    assert done.exit_code == 3
    assert "no load keeps it" in done.output
    assert not isinstance(done.exception, HarnessError)
