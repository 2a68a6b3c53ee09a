"""Folders that are no whole run, as every command tells of them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from harness import store
from harness.commands import cli
from harness.errors import HarnessError
from tests.stored import save


@pytest.mark.parametrize("verb", ["show", "report", "crosscheck", "metrics", "runs", "trace"])
def test_every_reader_says_of_such_a_run_what_is_there(tmp_path, verb):
    saved = save(tmp_path)
    (saved.path / "summary.json").unlink()
    arguments = ["--out", str(tmp_path)] if verb == "runs" else [str(saved.path)]
    done = CliRunner().invoke(cli, [verb, *arguments])
    said = done.output + str(done.exception)
    assert done.exception is None or isinstance(done.exception, HarnessError), said
    assert "no summary" in said or "resolved.yaml" in said


def test_what_a_kill_while_saving_has_left_is_told(tmp_path):
    save(tmp_path)
    left = tmp_path / "x" / ".unfinished-abc"
    left.mkdir()
    assert store.unfinished(tmp_path) == [left]
    done = CliRunner().invoke(cli, ["runs", "--out", str(tmp_path)], catch_exceptions=False)
    assert f"{left}: a run is being saved there, or its process was killed" in done.output
