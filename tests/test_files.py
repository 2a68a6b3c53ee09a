"""What is replaced is there as a whole, old or new, whatever ends the one who writes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from harness import files

WRITE_AND_STOP = """
import sys, time
from pathlib import Path
from harness import files
with files.replacing(Path(sys.argv[1])) as file:
    file.write(b"half of the new on")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / ("n" * 255)  # the longest name there is
    files.replace(path, "old")
    files.replace(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_an_error_while_it_is_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "figures.json"
    files.replace(path, "old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as file:
        file.write(b"new")
        _ = 1 / 0
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_kill_while_it_is_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "figures.json"
    files.replace(path, "old")
    writer = subprocess.Popen([sys.executable, "-c", WRITE_AND_STOP, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert path.read_text() == "old"


def test_of_several_that_write_at_once_one_wins_whole(tmp_path):
    path, texts = tmp_path / "table.md", [letter * 200_000 for letter in "abcd"]
    threads = [
        threading.Thread(target=lambda text=text: [files.replace(path, text) for _ in range(5)]) for text in texts
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_text() in texts
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]


def test_a_folder_has_its_name_only_when_it_is_filled(tmp_path):
    final = tmp_path / "home" / "run"

    def fill(folder):
        (folder / "one").write_text("1")
        assert not final.exists() and folder.name.startswith(files.UNFINISHED)
        (folder / "two").write_text("2")

    files.new_folder(final, fill)
    assert sorted(path.name for path in final.iterdir()) == ["one", "two"]
    assert list(final.parent.iterdir()) == [final] and final.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_filled_is_not_there(tmp_path):
    def fill(folder):
        (folder / "one").write_text("1")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        files.new_folder(tmp_path / "home" / "run", fill)
    assert list((tmp_path / "home").iterdir()) == []
