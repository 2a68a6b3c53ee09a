"""The folder of a sweep: what was asked, what has run, and one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.studies.sweep.folder import SweepFolder, find
from harness.studies.sweep.result import result
from harness.studies.sweep.running import time_left_s
from harness.studies.sweep.trials import Trial
from tests import sweeps


def test_what_was_asked_is_read_back_as_it_was(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=20/s,40/s", repeats=3)
    spec = sweep.spec
    assert SweepFolder(sweep.path).spec == spec
    assert spec.repeats == 3 and [axis.key for axis in spec.axes] == ["stages.second.batch.max", "load.rate"]
    assert find("last", tmp_path / "results").path == sweep.path
    assert find(str(sweep.path), tmp_path).path == sweep.path


def test_a_run_that_the_index_does_not_know_is_taken_in(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2", repeats=2)
    spec = sweep.spec
    known, unknown = Trial(1, 1), Trial(2, 2)
    sweeps.pretend(sweep, [known])
    saved = sweeps.run(sweep, spec, unknown)
    twice = sweeps.run(sweep, spec, known)
    (sweep.runs / "line" / ".unfinished-abc").mkdir()
    sweep.take_in(spec)
    entries = sweep.index.entries
    assert set(entries) == {known, unknown}
    assert sweep.run(entries[unknown]).path == saved.path
    assert sweep.run(entries[known]).path != twice.path
    assert not list(sweep.runs.rglob(".unfinished-*"))
    assert sweep.index.pending(spec) == [t for t in spec.order if t not in entries]


def test_only_one_process_runs_a_sweep(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2")
    with sweep.lock(), pytest.raises(UsageError, match="another process"), SweepFolder(sweep.path).lock():
        pass
    with sweep.lock():
        pass


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not {}: Expecting value"),
        ("{", "not {}: Expecting property name"),
        ("[]", "not {}: it is no mapping"),
        ("{}", "not {}: it has no schema_version"),
        ('{"schema_version": 99}', "{} of schema_version 99, and this is known up to 1"),
        ('{"schema_version": 1}', "not {}: no proper "),
    ],
)
@pytest.mark.parametrize(("file", "what"), [("sweep.json", "a sweep"), ("index.json", "the index of a sweep")])
def test_a_folder_that_is_no_sweep_is_an_error_that_names_it(file, what, text, says, tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2")
    (sweep.path / file).write_text(text)
    with pytest.raises(UsageError) as error:
        result(sweep)
    assert f"{sweep.path / file}: {says.format(what)}" in str(error.value)


def test_the_time_left_is_what_variants_took_before(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2,3", repeats=2)
    a, b, c = (Trial(variant, 2) for variant in (1, 2, 3))
    assert time_left_s([a, b, c], sweep.index.entries) is None
    for variant, seconds in ((1, 10.0), (2, 30.0)):
        trial = Trial(variant, 1)
        sweep.record(trial, "completed", sweeps.run(sweep, sweep.spec, trial), None, seconds)
    assert time_left_s([a, b, c], sweep.index.entries) == 10 + 30 + 20


def test_a_folder_of_a_sweep_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def fails(*arguments: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(Exception, match="No space left"):
        sweeps.begin(tmp_path, "stages.second.workers=1,2")
    assert list((tmp_path / "results").rglob("*")) == [tmp_path / "results" / "line"]
