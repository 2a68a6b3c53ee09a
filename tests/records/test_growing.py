"""A file that goes on growing when its disk is full."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.records.growing import GrowingFile

MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def content(mib: int) -> bytes:
    return bytes(range(256)) * (mib * 4096)


def test_what_was_set_aside_takes_what_the_disk_does_not(small_disk: Path) -> None:
    file = GrowingFile(small_disk / "f", reserve_bytes=2 * MIB)
    file.write(content(1))
    assert file.full is None
    file.write(content(2))
    assert file.full is not None and file.full.strerror == "No space left on device"
    assert file.path == small_disk / "f"
    with file.release() as written:
        assert written.read() == content(3)


@pytest.mark.parametrize("reserve", [0, MIB, 100 * MIB])
def test_what_fits_nowhere_on_that_disk_goes_on_in_a_temporary_file(small_disk: Path, reserve: int) -> None:
    file = GrowingFile(small_disk / "f", reserve_bytes=reserve)
    for _ in range(7):
        assert file.write(content(1)) == MIB
    assert file.full is not None
    assert file.path is None
    assert list(small_disk.iterdir()) == [], "the small disk is free again"
    with file.release() as written:
        assert written.read() == content(7)


def test_without_room_anywhere_it_says_so(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    file = GrowingFile(small_disk / "f", reserve_bytes=MIB)
    with pytest.raises(OSError, match="No space left on device"):
        file.write(content(5))
    file.discard()
    (small_disk / "f").unlink()
    nameless = GrowingFile(None, reserve_bytes=MIB)
    with pytest.raises(OSError, match="No space left on device"):
        nameless.write(content(5))
    nameless.discard()
    assert list(small_disk.iterdir()) == []
