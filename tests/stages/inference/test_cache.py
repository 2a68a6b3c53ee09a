"""What is made of a model is made once: found again, by workers at the same time as well, and never half."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.stages.inference import cache
from tests.runtimes.making import keep
from tests.runtimes.opening import stage


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


@pytest.mark.slow
def test_an_exported_model_is_found_again(cache: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    options = {"runtime": "onnxruntime", "model": "squeezenet1_1"}
    stage(**options).open()
    before = set(cache.iterdir())
    stage(**options).open()
    assert set(cache.iterdir()) == before
