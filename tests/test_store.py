"""A saved run is complete or not there, is never overwritten, and is found again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from harness import host, records, store, summary
from harness.errors import SaveError, UsageError
from harness.records import RunRecords
from harness.studies.run.facts import facts_of
from tests.pipelines import run
from tests.stored import DOCUMENT, RAW, SUMMARY, TEXTS, save

HERE = Path(__file__).parent


def seen(root: Path) -> list[Path]:
    """Every file and folder under `root` that a user would see."""
    return sorted(p for p in root.rglob("*") if not any(part.startswith(".") for part in p.relative_to(root).parts))


def test_a_run_is_read_back_as_it_was_saved(tmp_path):
    saved = save(tmp_path)
    assert saved.path.parent == tmp_path / "x"
    assert saved.summary == SUMMARY
    assert (saved.records.rows == RAW.rows).all()
    assert saved.records.layout == RAW.layout
    assert saved.records.failures == {2: "cut off"}
    assert {p.name for p in saved.path.iterdir()} == {"summary.json", "records.parquet", *TEXTS}


def test_records_of_a_real_run_are_read_back(tmp_path):
    execution = run({"null": {}}, load={"arrivals": "closed", "requests": 20}, executor="asyncio")
    saved = store.save(tmp_path, "real", SUMMARY, execution.records, {})
    assert (saved.records.rows == execution.records.rows).all()


def test_nothing_is_visible_until_all_of_it_is_written(tmp_path, monkeypatch):
    def look(*arguments):
        assert seen(tmp_path / "x") == []
        assert list(store.list_runs(tmp_path)) == []
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "save", look)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path)
    assert list((tmp_path / "x").iterdir()) == []


KILLED = """
import os, signal, sys
from harness import records
from tests import stored
records.save = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
stored.save(stored.Path(sys.argv[1]))
"""


def test_a_kill_while_saving_leaves_nothing_that_looks_like_a_run(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=HERE.parent)
    assert killed.returncode == -9
    assert seen(tmp_path / "x") == []
    assert list(store.list_runs(tmp_path)) == []


def test_two_runs_never_share_a_folder(tmp_path):
    paths = {save(tmp_path).path for _ in range(20)}
    assert len(paths) == 20


def test_a_folder_that_is_there_already_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr(store.secrets, "token_hex", lambda n: "abcdef")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "refuge"))
    monkeypatch.setattr(store, "_stamp", lambda: "20260101T000000")
    first = save(tmp_path, note="first")
    (tmp_path / "refuge").mkdir()
    with pytest.raises(SaveError):
        save(tmp_path, note="second")
    assert first.summary.as_json()["note"] == "first"


def test_what_is_not_a_number_is_null():
    document = {"nan": float("nan"), "inf": np.float64("inf"), "n": np.int64(3), "list": (np.nan, 1.5), 4: None}
    text = store.to_json(document)
    assert json.loads(text) == {"nan": None, "inf": None, "n": 3, "list": [None, 1.5], "4": None}


@pytest.fixture
def refuge(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def rescued_in(refuge: Path) -> store.SavedRun:
    (saved,) = (run_ for folder in refuge.iterdir() for run_ in store.list_runs(folder))
    return saved


def test_a_run_that_cannot_be_saved_where_it_should_is_saved_elsewhere(tmp_path, refuge):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SaveError) as caught:
        save(tmp_path / "file")
    rescued = rescued_in(refuge)
    assert str(rescued.path) in str(caught.value)
    assert "cannot save the run here" in str(caught.value)
    assert rescued.summary == SUMMARY


def test_a_full_disk_sends_the_run_elsewhere_and_leaves_nothing_behind(tmp_path, refuge):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        noise = np.random.default_rng(1).integers(0, 2**62, (5000, 13))
        with pytest.raises(SaveError, match="No space left on device") as caught:
            store.save(disk, "x", SUMMARY, RunRecords(RAW.layout, noise, {}), TEXTS)
        assert list((disk / "x").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    rescued = rescued_in(refuge)
    assert str(rescued.path) in str(caught.value)
    assert (rescued.records.rows == noise).all()


LIMITED = """
import resource, sys
import numpy as np
from harness import store
from harness.errors import SaveError
from tests import stored
noise = np.random.default_rng(1).integers(0, 2**62, (5000, 13))
raw = store.RunRecords(stored.RAW.layout, noise, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    store.save(stored.Path(sys.argv[1]), "x", stored.SUMMARY, raw, stored.TEXTS)
except SaveError as error:
    print(error)
"""


def test_where_no_place_is_left_the_error_says_so_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "results"],
        cwd=HERE.parent,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert "cannot save the run: " in done.stdout
    assert "File too large" in done.stdout
    assert "Free some space." in done.stdout
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_another_user_s_folder_in_the_place_of_refuge_does_not_cost_the_run(tmp_path, refuge):
    (refuge / "harness-results").touch()  # as good as a folder that may not be written: root may write in any
    (tmp_path / "file").write_text("no folder")
    for _ in range(2):
        with pytest.raises(SaveError, match="It is saved in"):
            save(tmp_path / "file")
    (refuge / "harness-results").unlink()
    saved = [run_ for folder in refuge.iterdir() for run_ in store.list_runs(folder)]
    assert [run_.summary for run_ in saved] == [SUMMARY] * 2


SYNCED = """
import os, sys
from tests import stored
synced, sync, rename = set(), os.fsync, stored.Path.rename
def syncing(fd):
    synced.add(os.readlink(f"/proc/self/fd/{fd}"))
    sync(fd)
def renaming(path, target):
    if path.is_dir():
        below = {str(path), *map(str, path.rglob("*"))}
        assert len(below) == 5 and below <= synced, below - synced
        synced.clear()
    return rename(path, target)
os.fsync, stored.Path.rename = syncing, renaming
root = stored.Path(sys.argv[1])
run = stored.save(root)
assert synced == {str(root), str(root / "x")}, synced
"""


def test_all_of_a_run_is_on_disk_before_it_appears_and_its_name_when_it_is_told(tmp_path):
    done = subprocess.run([sys.executable, "-c", SYNCED, tmp_path], cwd=HERE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_records_without_a_summary_are_a_run_that_says_so(tmp_path):
    saved = save(tmp_path)
    (saved.path / "summary.json").unlink()
    assert [r.path for r in store.list_runs(tmp_path)] == [saved.path]
    assert store.find("last", tmp_path).path == store.find(str(saved.path)).path == saved.path
    assert (saved.records.rows == RAW.rows).all()
    with pytest.raises(UsageError, match=r"no summary: records\.parquet is there, whole") as caught:
        _ = saved.summary
    assert caught.value.hint == ""
    (saved.path / "failure.txt").write_text("Traceback")
    with pytest.raises(UsageError, match=r"failure.txt says why"):
        _ = saved.summary


def test_an_older_second_goes_behind_whatever_its_files_say(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_stamp", lambda: "20260101T000000")
    old = save(tmp_path)
    monkeypatch.setattr(store, "_stamp", lambda: "20270101T000000")
    new = save(tmp_path)
    os.utime(old.path / "summary.json")
    assert [r.path for r in store.list_runs(tmp_path)] == [new.path, old.path]


@pytest.fixture
def same_second(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_stamp", lambda: "20260101T000000")
    runs = []
    for age, name in enumerate(["a", "b", "a"]):
        runs.append(save(tmp_path, name))
        os.utime(runs[-1].path / "summary.json", ns=(1, 10**18 + age))
    return tmp_path, runs


def test_runs_are_listed_newest_first_and_nothing_else_is(same_second):
    root, runs = same_second
    (root / "a" / ".unfinished-1").mkdir()
    (root / "a" / "20260101T000000-abcdef").mkdir()  # no summary in it
    (root / "notes.txt").write_text("")
    assert [r.path for r in store.list_runs(root)] == [r.path for r in reversed(runs)]


@pytest.mark.parametrize(
    ("reference", "index"), [("last", 2), ("last~0", 2), ("last~1", 1), ("last~2", 0), ("a", 2), ("b", 1)]
)
def test_a_run_is_found_by_recency_or_by_the_name_of_its_scenario(same_second, reference, index):
    root, runs = same_second
    assert store.find(reference, root).path == runs[index].path


def test_a_run_is_found_by_its_folder_and_by_the_folder_s_name(same_second):
    root, runs = same_second
    assert store.find(str(runs[0].path), root / "elsewhere").path == runs[0].path
    assert store.find(runs[0].path.name, root).path == runs[0].path


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("last~3", "no run 'last~3': there are 3 runs under"),
        ("c", "no run 'c': the scenarios with runs are a, b"),
        ("results/absent", "no run 'results/absent'"),
        ("last~x", "no run 'last~x'"),
    ],
)
def test_a_run_that_is_not_there_is_an_error_that_helps(same_second, reference, says):
    with pytest.raises(UsageError) as caught:
        store.find(reference, same_second[0])
    assert says in str(caught.value)
    assert "`harness runs` lists them" in str(caught.value)


@pytest.mark.parametrize("reference", ["last", "a"])
def test_where_there_are_no_runs_the_error_says_so(tmp_path, reference):
    with pytest.raises(UsageError, match="there are no runs under"):
        store.find(reference, tmp_path / "absent")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_summary_that_cannot_be_read_is_an_error_with_its_file(same_second, text):
    run_ = same_second[1][0]
    (run_.path / "summary.json").write_text(text)
    with pytest.raises(UsageError, match=f"{run_.path / 'summary.json'}: not a saved run"):
        _ = run_.summary


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"e2e_ms": {}, "requests": {}}, "no proper requests.issued"),
        ({"e2e_ms": {}}, "no proper e2e_ms.p50"),
        ({"status": None}, "no proper status"),
        ({"stages": {"s0": 1}}, "no proper stages.s0"),
        ({"schema_version": None}, "no schema_version"),
        ({"schema_version": 99}, "schema_version 99, and this is known up to 1"),
    ],
)
def test_a_summary_that_lacks_what_readers_need_is_an_error_with_its_key_path(tmp_path, change, says):
    saved = save(tmp_path)
    (saved.path / "summary.json").write_text(json.dumps({**DOCUMENT, **change}))
    with pytest.raises(UsageError, match=says) as caught:
        _ = saved.summary
    assert caught.value.where == str(saved.path / "summary.json")


def test_the_version_that_is_written_is_the_newest_that_is_read():
    execution = run({"null": {}}, load={"arrivals": "closed", "requests": 3}, executor="asyncio")
    assert facts_of(execution, host.describe()).schema_version == summary.SUMMARY.version


def test_records_that_are_no_records_are_an_error(same_second):
    run_ = same_second[1][0]
    (run_.path / "records.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="not the records of a run"):
        _ = run_.records
