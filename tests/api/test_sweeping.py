"""Sweeps from Python: run, interrupted, continued, opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import harness
from tests.interrupting import interrupted_at

TINY: dict[str, Any] = {
    "name": "tiny",
    "executor": "asyncio",
    "load": {"arrivals": "closed", "requests": 20, "warmup": 1},
    "stages": [{"null": {"name": "only"}}],
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> harness.Sweep:
    vary = {"stages.only.workers": [1, 2], "load.concurrency": [1, 3]}
    return harness.sweep(TINY, vary, {"load.requests": 10}, out=tmp_path_factory.mktemp("results"))


def test_every_combination_is_measured_and_saved(swept: harness.Sweep) -> None:
    assert swept.result.trials.completed == 4
    values = {tuple(variant.values.values()) for variant in swept.result.variants}
    assert values == {(1, 1), (1, 3), (2, 1), (2, 3)}
    assert (swept.path / "table.csv").is_file() and list((swept.path / "plots").iterdir())
    assert harness.open_sweep(swept.path).result == swept.result


def test_it_is_a_table_a_screen_and_a_report(swept: harness.Sweep, tmp_path: Path) -> None:
    assert list(swept.to_pandas()["load.concurrency"]) == [row["load.concurrency"] for row in swept.result.rows]
    assert "4 variants, all completed" in str(swept)
    assert swept.report(tmp_path / "sweep.html").read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_an_interrupted_sweep_is_kept_and_can_be_continued(tmp_path: Path) -> None:
    with pytest.raises(harness.Interrupted) as raised, interrupted_at("requests 1000000"):
        harness.sweep(TINY, {"load.requests": [5, 1_000_000]}, out=tmp_path, progress=True)
    kept = raised.value.result
    assert kept.result.trials.completed < 2
    assert harness.open_sweep(out=tmp_path).path == kept.path
    short = harness.sweep(TINY, {"load.requests": [5, 6]}, out=tmp_path / "short")
    assert harness.resume_sweep(short.path).result == short.result
