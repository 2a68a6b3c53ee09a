"""What is made of a model is made once: found again, by workers at the same time as well, and never half."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.stages.inference import cache
from tests.runtimes.opening import stage


def made_by(counter: Path, folder: Path) -> None:
    with counter.open("a") as file:
        file.write("made\n")
    time.sleep(0.3)
    (folder / "model").write_text("whole")


def keep(cache_home: str, counter: Path, key: str) -> None:
    os.environ["XDG_CACHE_HOME"] = cache_home
    entry = cache.kept(key, lambda folder: made_by(counter, folder))
    assert (entry / "model").read_text() == "whole"


def test_workers_that_need_the_same_at_once_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "cache"), tmp_path / "counter", "key")
    workers = [context.Process(target=keep, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "made\n"


def test_one_that_is_killed_while_it_makes_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = (
        "import time; from harness.stages.inference import cache\n"
        "def make(folder): (folder / 'model').write_text('ha'); print('begun', flush=True); time.sleep(60)\n"
        "cache.kept('key', make)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"begun\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert not (cache.folder("models") / "key").exists()
    keep(str(tmp_path), tmp_path / "counter", "key")


def test_what_fails_to_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(folder: Path) -> None:
        raise ScenarioError("no")

    with pytest.raises(ScenarioError, match="no"):
        cache.kept("key", fail)
    keep(str(tmp_path), tmp_path / "counter", "key")


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ScenarioError, match="cannot be made"):
        cache.folder("models")


def test_an_exported_model_is_found_again_and_other_weights_are_another_one(cache: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    options = {"runtime": "onnxruntime", "model": "squeezenet1_1"}
    stage(**options).open()
    before = set(cache.iterdir())
    stage(**options).open()
    assert set(cache.iterdir()) == before
    stage(**options, classes=7).open()
    assert len(set(cache.iterdir()) - before) == 2, "an entry and its lock"
