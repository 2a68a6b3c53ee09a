"""Saved comparisons, those of former versions too: every key is read, and written again."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from harness import store
from harness.errors import UsageError
from harness.report.html import study
from harness.report.screens import compare as screen
from harness.studies.compare import folder
from tests.command import harness

SAVED = Path(__file__).parents[2] / "saved"
COMPARISONS = sorted(SAVED.glob("*/*/compare-*"))


@pytest.mark.parametrize("path", COMPARISONS, ids=[path.parents[1].name for path in COMPARISONS])
def test_a_saved_comparison_is_read_whole(path: Path) -> None:
    found = folder.load(path)
    assert found.saved == str(path)
    written = json.loads(store.to_json(found.model_copy(update={"saved": None}).as_json()))
    assert written.pop("saved") is None
    assert written == json.loads((path / folder.FILE).read_text())


@pytest.mark.parametrize("path", COMPARISONS, ids=[path.parents[1].name for path in COMPARISONS])
def test_a_saved_comparison_is_shown_on_every_medium(path: Path, tmp_path: Path) -> None:
    shown, again = harness("compare", path), harness("show", path)
    assert shown.returncode == 0, shown.stderr
    assert again.stdout == shown.stdout
    assert json.loads(harness("show", path, "--json").stdout)["saved"] == str(path)
    assert harness("show", path, "--band", "p90..p99").returncode == 2
    assert "b (infer.workers=2) is faster" in " ".join(shown.stdout.split())
    told = harness("report", path, "-o", tmp_path / "report.html")
    assert told.returncode == 0, told.stderr
    found = study.read(path)
    assert found is not None and "b against a" in found.plots
    assert "is faster" in (tmp_path / "report.html").read_text()


def damaged(tmp_path: Path, **changes: object) -> Path:
    document = json.loads((COMPARISONS[0] / folder.FILE).read_text())
    (tmp_path / folder.FILE).write_text(json.dumps({**document, **changes}))
    return tmp_path


def test_an_error_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"comparison.json: not a saved comparison: no proper reading: expected a list, got 3"
    ) as caught:
        folder.load(damaged(tmp_path, reading=3))
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="a saved comparison of schema_version 99, and this is known up to 1"):
        folder.load(damaged(tmp_path, schema_version=99))


def test_an_interval_that_is_open_stays_so(tmp_path: Path) -> None:
    """JSON has no infinity."""
    pair = json.loads((COMPARISONS[0] / folder.FILE).read_text())["comparisons"][0]
    pair["effects"][0]["difference_interval"] = [None, 5.0]
    (found,) = folder.load(damaged(tmp_path, comparisons=[pair])).comparisons
    assert found.effects[0].difference_interval == (-math.inf, 5.0)
    screen.show(Console(file=io.StringIO()), folder.load(tmp_path))
