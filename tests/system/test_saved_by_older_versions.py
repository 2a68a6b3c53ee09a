"""What older versions saved opens in every verb that takes it. tests/saved holds a folder for each such version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import open_run
from harness.store import to_json
from tests.command import harness

SAVED = Path(__file__).parents[1] / "saved"
VERSIONS = sorted(path.name for path in SAVED.iterdir() if path.is_dir())
RUNS = [f"{version}/{name}" for version in VERSIONS for name in ("tiny", "closed", "shed")]


def folder(kind: str) -> Path:
    """The first folder that `kind` matches: VERSION/SCENARIO of a run, VERSION/SCENARIO/compare of a study."""
    version, name, *study = kind.split("/")
    return min((SAVED / version / name).glob(f"{study[0]}-*" if study else "2*"))


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a run: a report is written into its folder."""
    found = folder(request.param)
    return Path(shutil.copytree(found, tmp_path / "results" / found.parent.name / found.name))


every_run = pytest.mark.parametrize("run", RUNS, indirect=True)
VERBS = {
    "show": ["show", "RUN", "--out", "results"],
    "band": ["show", "RUN", "--band", "p50..p99", "--out", "results"],
    "report": ["report", "RUN", "--out", "results"],
    "text": ["report", "RUN", "--text", "--out", "results"],
    "svg": ["report", "RUN", "--svg", "plots", "--out", "results"],
    "trace": ["trace", "RUN", "-o", "trace.json", "--out", "results"],
    "crosscheck": ["crosscheck", "RUN", "--out", "results"],
    "runs": ["runs", "--out", "results"],
    "compare": ["compare", "RUN", "RUN", "--out", "results"],
    "metrics": ["metrics", "RUN", "--out", "results"],
    "simulate": ["simulate", "SCENARIO", "--from", "RUN", "--requests", "1000", "--replications", "2"],
}


@every_run
@pytest.mark.parametrize("verb", VERBS)
def test_a_run_opens(verb: str, run: Path, tmp_path: Path) -> None:
    if verb == "crosscheck" and run.parent.name == "closed":
        pytest.skip("a closed load has no theory to be held against")
    words = {"RUN": str(run), "SCENARIO": str(run / "resolved.yaml")}
    done = harness(*[words.get(word, word) for word in VERBS[verb]], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unreadable" not in done.stdout


@every_run
def test_its_summary_says_what_it_said(run: Path) -> None:
    """Every key that was saved, with its value, and in its order."""
    read = json.loads(to_json(open_run(run).summary))
    saved = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert {key: read[key] for key in saved} == saved
    assert [key for key in read if key in saved] == list(saved)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("study", ["compare", "sweep", "capacity"])
@pytest.mark.parametrize("verb", ["show", "report"])
def test_a_study_opens(verb: str, study: str, version: str, tmp_path: Path) -> None:
    copy = shutil.copytree(folder(f"{version}/tiny/{study}"), tmp_path / f"{study}-20260101T000000-abcdef")
    done = harness(verb, copy, *(["-o", "report.html"] if verb == "report" else []), cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    if verb == "report":
        assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_study_opens_in_its_own_verb(version: str, tmp_path: Path) -> None:
    shown = harness("compare", folder(f"{version}/tiny/compare"), cwd=tmp_path)
    assert "infer.workers=2" in shown.stdout and shown.returncode == 0
    shown = harness("sweep", "--show", folder(f"{version}/tiny/sweep"), cwd=tmp_path)
    assert "workers" in shown.stdout and shown.returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fault_of_a_screen_is_not_told_as_a_broken_file(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(console: object, found: object) -> None:
        raise KeyError("p99")

    monkeypatch.setattr("harness.report.screens.capacity.show", broken)
    with pytest.raises(KeyError):
        harness("show", folder(f"{version}/tiny/capacity"))
