"""A worker that needs an entry of the cache, as a process that imports nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.stages.inference import cache


def made_by(counter: Path, folder: Path) -> None:
    with counter.open("a") as file:
        file.write("made\n")
    time.sleep(0.3)
    (folder / "model").write_text("whole")


def keep(cache_home: str, counter: Path, key: str) -> None:
    os.environ["XDG_CACHE_HOME"] = cache_home
    entry = cache.kept(key, lambda folder: made_by(counter, folder))
    assert (entry / "model").read_text() == "whole"
