"""The commit of a checkout, and the environment variables that change speed."""

from __future__ import annotations

import subprocess

from harness.host import software


def test_the_environment_keeps_what_changes_speed_and_nothing_else():
    given = {"OMP_NUM_THREADS": "4", "NUMBA_CPU_NAME": "generic", "SECRET_TOKEN": "x", "MALLOC_ARENA_MAX": "2"}
    assert set(software.environment(given)) == {"OMP_NUM_THREADS", "NUMBA_CPU_NAME", "MALLOC_ARENA_MAX"}


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert software.commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")  # as inside a hook
    found = software.commit(tmp_path)
    monkeypatch.delenv("GIT_DIR")
    assert found == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("b")
    assert software.commit(tmp_path)["dirty"] is True
    (tmp_path / "below").mkdir()
    assert software.commit(tmp_path / "below") is None


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert software.commit(tmp_path) is None
