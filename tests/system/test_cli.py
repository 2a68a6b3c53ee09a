"""The `harness` command as people and scripts use it: what goes where, how it ends, what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from harness import __main__ as process
from harness import store
from harness.commands import VERBS, cli
from harness.errors import StageFailed, UsageError
from tests.command import harness

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ALL_VERBS = [verb for verbs in VERBS.values() for verb in verbs]
HARNESS = [sys.executable, "-m", "harness"]
NULL = """\
# a comment of the user's
name: tiny
executor: asyncio
load: {arrivals: closed, requests: 40, warmup: 5}
stages:
  - "null": {name: first}
  - "null": {name: second}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a scenario and a results folder that holds one run of it, made by `harness run --json -`."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "tiny.yaml").write_text(NULL)
    done = harness("run", "tiny.yaml", "--json", "-", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


# Help


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_help_of_a_verb_is_a_sentence_and_then_an_example(verb):
    result = CliRunner().invoke(cli, [verb, "--help"], catch_exceptions=False)
    lines = [line.strip() for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert lines[0].startswith(f"Usage: cli {verb}")
    example = lines.index("Example:")
    assert lines[example + 1].startswith(f"harness {verb}")
    assert "" in lines[2:example]
    assert lines[2:example].count("") == 1  # one paragraph before it


def test_help_groups_the_verbs_and_tells_the_exit_codes():
    text = CliRunner().invoke(cli, ["--help"]).output
    assert [line for line in text.splitlines() if line.endswith(":") and line[0] != " "] == [
        "Options:",
        *(f"{group}:" for group in VERBS),
    ]
    assert "3 an SLO or verdict not met, 130 interrupted, 143 terminated" in text
    assert text.index("Example:") < text.index("Options:")


IMPORTS = """
import sys
sys.argv = ["harness", "--help"]
from harness.__main__ import main
try:
    main()
finally:
    heavy = {"numpy", "torch", "numba", "pydantic", "yaml", "rich", "pyarrow", "scipy", "PIL", "asyncio"}
    print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_help_imports_no_heavy_library():
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"


def test_a_verb_that_is_nearly_right_is_suggested():
    done = harness("runn")
    assert done.returncode == 2
    assert "Did you mean 'run'?" in done.stderr


# harness run


def test_json_on_standard_output_is_the_summary_and_nothing_else(place):
    summary = json.loads(place[1].stdout)
    assert summary["requests"] | {"calibration": 0} == {
        "issued": 40, "completed": 40, "failed": 0, "dropped": 0, "aborted": 0, "warmup": 5, "calibration": 0,
    }  # fmt: skip
    contract = (
        "schema_version name executor started_at requests throughput_rps offered_rps e2e_ms response_ms"
        " producer_lateness_ms stages tail model checks startup_s memory system saved"
    )
    assert set(contract.split()) <= set(summary)


def test_progress_goes_to_standard_error_in_plain_lines(place):
    assert place[1].stderr.startswith("tiny: starting workers\n")
    assert "\x1b" not in place[1].stderr


def test_a_run_s_folder_holds_the_scenario_as_given_and_as_resolved(place):
    folder = place[0] / json.loads(place[1].stdout)["saved"]
    names = {"summary.json", "records.parquet", "scenario.yaml", "resolved.yaml", "environment.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "scenario.yaml").read_text() == NULL
    assert yaml.safe_load((folder / "resolved.yaml").read_text())["load"]["concurrency"] == 1
    assert len(store.SavedRun(folder).records) == 45


def test_the_resolved_scenario_runs_again(place, tmp_path):
    resolved = place[0] / json.loads(place[1].stdout)["saved"] / "resolved.yaml"
    done = harness("run", resolved, "--out", tmp_path, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_quiet_prints_where_the_run_was_saved_and_nothing_else(place, tmp_path):
    done = harness("run", place[0] / "tiny.yaml", "--quiet", "--out", tmp_path, "--requests", 7)
    assert (done.returncode, done.stderr) == (0, "")
    (saved,) = store.list_runs(tmp_path)
    assert done.stdout == f"{saved.path}\n"
    assert saved.summary.requests.completed == 7
    assert (saved.path / "scenario.yaml").read_text() == "# --set load.requests=7\n" + NULL


def test_json_to_a_file_leaves_the_screen(place, tmp_path):
    done = harness("run", place[0] / "tiny.yaml", "--json", tmp_path / "x.json", "--out", tmp_path)
    assert json.loads((tmp_path / "x.json").read_text())["name"] == "tiny"
    assert "Latency budget" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith(f"Saved in {tmp_path}")


def test_a_limit_that_is_not_met_ends_with_3_and_one_that_is_met_with_0(place, tmp_path):
    slow = harness("run", place[0] / "tiny.yaml", "--out", tmp_path, "--set", "slo.p50=1 ns")
    fast = harness("run", place[0] / "tiny.yaml", "--out", tmp_path, "--set", "slo.p50=1 min", "-q")
    assert (slow.returncode, fast.returncode) == (3, 0)
    assert "SLO" in slow.stdout


def test_an_interrupted_run_is_saved_and_ends_with_130(place, tmp_path):
    command = [*HARNESS, "run", place[0] / "tiny.yaml", "--out", tmp_path]
    endless = ["--set", "load={arrivals: constant, rate: 50/s, duration: 60 s}"]
    with subprocess.Popen([*command, *endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert any("running" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    (saved,) = store.list_runs(tmp_path)
    assert saved.summary.status == "interrupted"


def test_a_summary_that_has_no_place_is_refused_before_the_run(place, tmp_path):
    for verb in (["run", place[0] / "tiny.yaml"], ["simulate", "--service", "20ms", "--rate", "30/s"]):
        for path, says in ((tmp_path / "no" / "x.json", "there is no folder"), (tmp_path, "a folder, where a file")):
            done = harness(*verb, "--json", path, "--out", tmp_path / "out")
            assert (done.returncode, done.stdout) == (2, "")
            assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_summary_that_cannot_be_written_is_told_behind_the_screen(place, tmp_path):
    done = harness("run", place[0] / "tiny.yaml", "--json", "/dev/full", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "Latency budget" in done.stdout and "Saved in" in done.stdout
    assert done.stderr.splitlines()[-1] == "error: /dev/full: cannot write the summary: No space left on device"
    assert len(list(store.list_runs(tmp_path / "out"))) == 1


def test_results_that_cannot_be_saved_where_they_should_are_shown_and_saved_elsewhere(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = harness("run", place[0] / "tiny.yaml", "--out", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert "Latency budget" in done.stdout
    assert "cannot save the run here" in done.stderr
    (refuge,) = tmp_path.glob("harness-results-*")
    assert len(list(store.list_runs(refuge))) == 1


@pytest.mark.parametrize(
    "options", [[], *(pytest.param(other, marks=pytest.mark.slow) for other in (["--json", "-"], ["--quiet"]))]
)
@pytest.mark.parametrize(("limit", "code"), [("1 ns", 3), ("1 min", 0)])
def test_a_reader_that_leaves_does_not_change_the_exit_code(place, tmp_path, options, limit, code):
    command = [*HARNESS, "run", place[0] / "tiny.yaml", "--out", tmp_path, "--set", f"slo.p50={limit}", *options]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_a_crash_s_text_of_many_lines_is_told_in_one(monkeypatch, capsys):
    def crash(**keys):
        raise StageFailed("ValueError: first\nsecond", where="stages.a", hint="Look there.")

    monkeypatch.setattr(cli, "main", crash)
    with pytest.raises(SystemExit):
        process.invoke()
    assert capsys.readouterr().err == "error: stages.a: ValueError: first\nLook there.\n"


# Errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "tests/scenario/bad/unknown_key.yaml"], "unknown_key.yaml:5: lod: unknown key (did you mean load?)"),
        (["run", "tests/scenario/bad/trace_that_goes_back.yaml"], "trace_that_goes_back.yaml:7: load.file: "),
        (["run", "scenarios/mm1.yaml", "--set", "load.rate=5"], "--set load.rate=5: load.rate: expected a rate"),
        (["run", "smok"], "Did you mean scenarios/smoke.yaml?"),
        (["run", "scenarios/mm1.yaml", "--requests", "0"], "0 is not in the range"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["validate", "tests/scenario/bad/not_yaml.yaml"], "not_yaml.yaml:5: not YAML"),
        (["show", "last~5", "--out", "absent"], "there are no runs under absent"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why_without_a_traceback(arguments, says):
    done = harness(*arguments, cwd=ROOT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 24


def test_a_folder_without_images_is_an_error_with_the_line_of_the_scenario(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "name: x\nload: {arrivals: closed, requests: 5}\nsource:\n  images: pictures\nstages:\n  - preprocess:\n"
    )
    done = harness("run", tmp_path / "x.yaml", "--out", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}/x.yaml:4: source.images: there are no images at '{tmp_path}/pictures'" in done.stderr


# validate, schema


def test_validate_accepts_all_scenarios_and_says_what_each_stage_hands_on():
    result = CliRunner().invoke(cli, ["validate", *map(str, (ROOT / "scenarios").glob("*.yaml"))])
    assert result.exit_code == 0
    assert "raw images -> preprocess (float32 3x224x224) -> inference (float32 1000)" in result.output


def test_validate_reports_every_file_and_ends_with_2_if_one_is_bad():
    good, bad = ROOT / "scenarios" / "mm1.yaml", ROOT / "tests" / "scenario" / "bad" / "no_cv.yaml"
    result = CliRunner().invoke(cli, ["validate", str(bad), str(good), "absent"])
    assert result.exit_code == 2
    assert f"{good}: ok" in result.stdout
    assert f"{bad}:4: load.cv: is needed" in result.stderr
    assert "absent: there is no such scenario file" in result.stderr


def test_schema_prints_a_json_schema():
    assert json.loads(CliRunner().invoke(cli, ["schema"]).stdout)["$schema"].startswith("https://json-schema.org/")


# runs, show


@pytest.fixture
def there(place, monkeypatch):
    monkeypatch.chdir(place[0])
    return json.loads(place[1].stdout)


def invoke(*arguments: str):
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_runs_lists_what_was_saved_with_p99_and_validity(there):
    text = invoke("runs").output
    head, row = text.splitlines()
    assert "p99 ms" in head
    assert row.split()[:2] == ["last", "tiny"]


def test_runs_as_json_is_one_run_a_line(there):
    (line,) = invoke("runs", "--json").stdout.splitlines()
    row = json.loads(line)
    assert row["path"] == there["saved"]
    assert row["p99_ms"] == there["e2e_ms"]["p99"]
    assert row["validity"] == there["validity"]


def test_a_run_that_cannot_be_read_does_not_hide_the_others(there, place):
    broken = place[0] / "results" / "tiny" / "20990101T000000-abcdef"
    broken.mkdir()
    try:
        for text in ("{", "{}", '{"schema_version": 1, "e2e_ms": {}, "requests": {}}'):
            (broken / "summary.json").write_text(text)
            result = invoke("runs")
            assert result.exit_code == 0
            _, newest, next_one, *_ = result.stdout.splitlines()
            assert newest.split()[:2] == ["last", "tiny"] and "unreadable" in newest
            assert next_one.split()[:2] == ["last~1", "tiny"] and "unreadable" not in next_one
            assert f"{broken.name}" in result.stderr and "not a saved run" in result.stderr
            with pytest.raises(UsageError, match="not a saved run"):
                invoke("show", "last")
    finally:
        (broken / "summary.json").unlink()
        broken.rmdir()


def test_runs_says_so_when_there_are_none(tmp_path):
    result = invoke("runs", "--out", str(tmp_path))
    assert result.exit_code == 0
    assert f"There are no runs under {tmp_path} yet" in result.output


@pytest.mark.parametrize("run", ["last", "tiny", "folder"])
def test_show_prints_a_saved_run_again(there, run):
    text = invoke("show", there["saved"] if run == "folder" else run).output
    assert text.splitlines()[0].startswith("tiny  asyncio, ")
    assert "Latency budget" in text
    assert there["saved"] in text


def test_show_as_json_is_the_summary(there):
    assert json.loads(invoke("show", "--json").stdout) == there
