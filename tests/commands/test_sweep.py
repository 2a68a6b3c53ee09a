"""`harness sweep` as people use it: real runs, really killed and interrupted; and what it shows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import store
from harness.commands import cli
from harness.errors import SaveError, UsageError
from harness.studies.sweep.folder import SweepFolder, find
from harness.studies.sweep.trials import Trial
from tests import sweeps
from tests.command import harness

ROOT = Path(__file__).parents[2]


TINY = """\
name: tiny
executor: asyncio
load: {arrivals: closed, requests: 40, warmup: 5}
stages:
  - delay: {name: only, distribution: constant, mean: 1 ms}
"""


VARIED = ("--vary", "stages.only.workers=1,2", "--vary", "load.concurrency=1,2,3")


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", "sweep", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=cwd, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)


def sweep(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return harness("sweep", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which a sweep of real runs has completed."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.yaml").write_text(TINY)
    return folder, sweep("tiny.yaml", *VARIED, "--repeat", 2, "--json", "a.json", cwd=folder)


def test_every_variant_is_run_and_saved_and_shown(done):
    folder, ended = done
    assert ended.returncode == 0, ended.stderr
    found = json.loads((folder / "a.json").read_text())
    assert found["trials"] == {"wanted": 12, "completed": 12, "failed": 0, "interrupted": 0}
    assert "Traceback" not in ended.stderr
    saved = Path(found["folder"])
    names = {"sweep.json", "index.json", "scenario.yaml", "cells", "runs", "table.csv", "table.parquet", "plots"}
    assert {path.name for path in (folder / saved).iterdir()} == names
    assert len(list(store.list_runs(folder / saved / "runs"))) == 12
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("tiny  6 variants, 2 repeats, all completed")
    assert f"Saved in {saved}" in lines[-1]
    for cell in found["cells"]:  # by Little's law, a latency of at least 1 ms, and no more in service than workers
        at_most = min(cell["values"]["stages.only.workers"], cell["values"]["load.concurrency"])
        assert 0 < cell["throughput_rps"] <= 1000 * at_most


def test_progress_names_each_variant_and_the_time_left(done):
    lines = done[1].stderr.splitlines()
    begun = [line for line in lines if " of 12: " in line]
    assert len(begun) == 12
    assert begun[0].startswith("1 of 12: workers ")
    assert "left)" not in begun[0] and all(" left)" in line for line in begun[1:])
    assert sum("repeat 2" in line for line in begun) == 6


def test_showing_it_again_runs_nothing_and_says_the_same(done):
    folder, ended = done
    before = (find("last", folder / "results").path / "index.json").read_bytes()
    again = CliRunner().invoke(cli, ["sweep", "--show", "last", "--out", str(folder / "results")])
    assert (again.exit_code, again.stderr) == (0, "")
    assert re.sub(r"Saved in .*/results", "Saved in results", again.stdout) == ended.stdout
    assert (find("last", folder / "results").path / "index.json").read_bytes() == before


def test_resuming_what_is_complete_runs_nothing(done, monkeypatch):
    folder, ended = done
    monkeypatch.chdir(folder)
    again = CliRunner().invoke(cli, ["sweep", "tiny.yaml", *VARIED, "--resume", "last"])
    assert (again.exit_code, again.stderr, again.stdout) == (0, "", ended.stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tiny.yaml"], "expected a SCENARIO and a --vary"),
        (["--vary", "a=1"], "expected a SCENARIO and a --vary"),
        (["--resume", "absent"], "not the folder of a sweep"),
        (["--resume", "last", "--show", "last"], "exclude one another"),
        (["--show", "last", "--repeat", "2"], "takes no other options"),
        (["--resume", "last", "--vary", "stages.only.workers=1,3"], "not the options of this sweep: --vary differs"),
        (
            ["--resume", "last", "--repeat", "3", "--seed", "7"],
            "not the options of this sweep: --repeat, --seed differs",
        ),
        (["other.yaml", "--resume", "last", "--set", "load.requests=7"], "the scenario file, --set differs"),
        (["tiny.yaml", "--vary", "stages.only.workers=1,x", "--out", "new"], "--vary stages.only.workers=x"),
        (["tiny.yaml", "--vary", "stages.only.workers=1", "--json", "no/x.json"], "there is no folder"),
    ],
)
def test_bad_usage_is_an_error_that_says_what_and_runs_nothing(arguments, says, done, monkeypatch):
    monkeypatch.chdir(done[0])
    (done[0] / "other.yaml").write_text(TINY.replace("40", "41"))
    result = CliRunner().invoke(cli, ["sweep", *arguments])
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
    assert not (done[0] / "new").exists()
    assert len(find("last", done[0] / "results").index.entries) == 12


def test_the_former_name_of_vary_goes_on_and_is_in_no_help(done, monkeypatch):
    folder, ended = done
    monkeypatch.chdir(folder)
    former = [option.replace("--vary", "--grid") for option in VARIED]
    again = CliRunner().invoke(cli, ["sweep", "tiny.yaml", *former, "--resume", "last"])
    assert (again.exit_code, again.stdout) == (0, ended.stdout)
    assert "--grid" not in CliRunner().invoke(cli, ["sweep", "--help"]).stdout


@pytest.mark.parametrize("verb", ["--show", "--resume"])
def test_a_sweep_of_0_1_0_is_shown_and_resumed(verb, tmp_path):
    (saved,) = (ROOT / "tests/saved/0.1.0/tiny").glob("sweep-*")
    shutil.copytree(saved, tmp_path / "sweep")
    again = CliRunner().invoke(cli, ["sweep", verb, str(tmp_path / "sweep"), "--json", str(tmp_path / "a.json")])
    assert again.exit_code == 0, again.output
    assert again.stdout.startswith("tiny  2 variants, all completed")
    told = json.loads((tmp_path / "a.json").read_text())
    assert [cell["completed_runs"] for cell in told["cells"]] == [1, 1]
    assert len(told["rows"]) == 2


@pytest.mark.parametrize(
    "kills", [1, pytest.param(4, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.study)]
)
def test_killed_at_random_moments_it_ends_with_every_variant_once(kills, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    moments = random.Random(kills)
    command: list[object] = ["tiny.yaml", *VARIED, "--quiet"]
    looks = 0
    for kill in range(kills):
        noted = entries(tmp_path)
        with start(*command, cwd=tmp_path) as process:
            # In turns: about when the next run is noted, and at any moment of the whole life of the process.
            later_s = moments.uniform(0, 4) if kill % 2 else moments.choice([0.02, 0.3]) * moments.random()
            begun = time.monotonic()
            while process.poll() is None and time.monotonic() < begun + 60:
                new = len(entries(tmp_path)) > len(noted)  # readable at every moment
                looks += 1
                if kill % 2 == 0 and new:
                    time.sleep(later_s)
                if (kill % 2 == 0 and new) or (kill % 2 and noted and time.monotonic() > begun + later_s):
                    process.kill()
                    break
            process.communicate(timeout=60)
        there = find("last", tmp_path / "results")
        assert set(noted.items()) <= set(entries(tmp_path).items())  # what was noted stays
        command = ["--resume", there.path, "--quiet"]
    assert looks > 10 * kills
    last = sweep(*command, cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    spec, found = there.spec, there.index.entries
    assert set(found) == set(spec.order) and len(found) == 6
    assert {entry.status for entry in found.values()} == {"completed"}
    runs = [entry.run for entry in found.values()]
    assert len(set(runs)) == 6
    for trial, entry in found.items():
        text = (there.path / str(entry.run) / "scenario.yaml").read_text()
        assert text.startswith(f"# sweep: cell {trial.variant}, repeat {trial.repeat}\n")
        for key, value in spec.values(trial.variant).items():
            assert f"# --set {key}={value}\n" in text
    assert [path.name for path in (tmp_path / "results" / "tiny").iterdir()] == [there.path.name]


def entries(folder: Path) -> dict[Trial, str | None]:
    """The run of each trial that has completed by now; nothing before there is a sweep."""
    with contextlib.suppress(UsageError):
        path = find("last", folder / "results").path
        json.loads((path / "index.json").read_text())
        return {t: e.run for t, e in SweepFolder(path).index.entries.items()}
    return {}


@pytest.mark.slow
def test_ctrl_c_keeps_what_has_run_and_says_how_to_go_on(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    load = ["--set", "load.arrivals=constant", "--set", "load.rate=20/s"]
    with start("tiny.yaml", "--vary", "load.duration=1 s,50 s,60 s", *load, cwd=tmp_path) as process:
        assert process.stderr is not None
        for text in process.stderr:
            if "duration 50 s" in text or "duration 60 s" in text:
                break
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    there = find("last", tmp_path / "results")
    assert f"interrupted. Continue with: harness sweep --resume {there.path.relative_to(tmp_path)}" in err
    assert "Traceback" not in err and "runs completed" in out
    statuses = [entry.status for entry in there.index.entries.values()]
    assert statuses.count("interrupted") == 1 and "interrupted" in out
    assert len(there.index.pending(there.spec)) == 3 - statuses.count("completed")


def test_a_variant_that_fails_is_noted_and_the_others_go_on(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    ended = sweep("tiny.yaml", "--vary", "deadlines.startup=1 min,1 ns,2 min", "--json", "a.json", cwd=tmp_path)
    assert ended.returncode == 1
    found = json.loads((tmp_path / "a.json").read_text())
    assert [cell["verdict"] for cell in found["cells"]] == ["closed", "failed", "closed"]
    assert "not every worker was ready" in found["cells"][1]["reason"]
    assert found["trials"]["failed"] == 1 and found["rows"][1]["status"] == "failed"
    assert "1 runs failed. Continue with: harness sweep --resume" in ended.stderr
    assert "startup 1 ns failed" in ended.stdout
    there = find("last", tmp_path / "results")
    assert [trial.variant for trial in there.index.pending(there.spec)] == [2]


def test_results_that_cannot_be_written_end_the_sweep_and_lose_nothing(tmp_path, monkeypatch):
    there = sweeps.begin(tmp_path, "stages.only.workers=1,2", text=TINY)
    (there.path / "runs").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = CliRunner().invoke(cli, ["sweep", "--resume", str(there.path)])
    assert isinstance(result.exception, SaveError)
    assert f"Continue with: harness sweep --resume {there.path}" in result.stderr
    (refuge,) = tmp_path.glob("harness-results-*")
    assert len(list(store.list_runs(refuge))) == 1
    (there.path / "runs").unlink()
    assert CliRunner().invoke(cli, ["sweep", "--resume", str(there.path), "--quiet"]).exit_code == 0
    assert len(there.index.entries) == 2


DELAYS = """\
name: delays
load: {arrivals: poisson, rate: 40/s, duration: 12 s, warmup: 20}
stages:
  - delay: {name: first, distribution: lognormal, cv: 0.5, mean: 3 ms}
  - delay: {name: second, distribution: exponential, mean: 12 ms, capacity: 64, batch: {timeout: 2 ms}}
"""


@pytest.mark.study
def test_the_twin_predicts_what_real_delay_stages_do(tmp_path):
    """Twelve runs of 12 s: four minutes at most."""
    (tmp_path / "delays.yaml").write_text(DELAYS)
    grid = ["--vary", "stages.second.batch.max=1,2,4", "--vary", "load.rate=20/s,40/s,55/s,120/s"]
    ended = sweep("delays.yaml", *grid, "--simulate", "--json", "a.json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    print(ended.stdout)
    found = json.loads((tmp_path / "a.json").read_text())
    assert [cell["cell"] for cell in found["cells"] if cell["verdict"] == "saturated"] == [4]
    assert not found["twin"]["by_cell"]["4"]["steady"]
    assert found["twin"]["score"]["cells"] == 9 and found["twin"]["score"]["median_apart"] < 0.2
