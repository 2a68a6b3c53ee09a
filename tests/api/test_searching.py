"""A search for the capacity from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import harness
from harness.api.searching import seconds
from tests.interrupting import interrupted_at

TINY: dict[str, Any] = {
    "name": "tiny",
    "executor": "asyncio",
    "load": {"arrivals": "poisson", "rate": "50/s", "requests": 100, "warmup": 2},
    "stages": [{"delay": {"name": "only", "mean": "5 ms"}}],
}


@pytest.mark.slow
def test_a_search_measures_and_is_saved(tmp_path: Path) -> None:
    found = harness.capacity(TINY, {"p50": "20 ms"}, within=0.5, run_length="1 s", time_limit="12 s", out=tmp_path)
    assert [(limit.limit, limit.limit_ms) for limit in found.result.slo] == [("p50", 20.0)]
    assert harness.runs(out=tmp_path)
    assert found.path is not None and harness.open_search(found.path).result == found.result
    assert found.report(tmp_path / "page.html").is_file()
    assert "capacity of tiny" in str(found)


def test_an_interrupted_search_is_kept(tmp_path: Path) -> None:
    with pytest.raises(harness.Interrupted) as raised, interrupted_at("-> "):
        harness.capacity(TINY, {"p50": "20 ms"}, run_length="1 s", out=tmp_path, progress=True)
    assert isinstance(raised.value.result, harness.Search)
    assert raised.value.result.result.status == "interrupted"


def test_a_load_without_a_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(harness.UsageError, match="closed load"):
        harness.capacity({**TINY, "load": {"arrivals": "closed", "requests": 5}}, ["p99=1s"], out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["20", "soon", "0.5 s"])
def test_a_time_has_a_unit_and_is_a_second_at_least(wrong: str) -> None:
    with pytest.raises(harness.UsageError, match="time_limit"):
        seconds("time_limit", wrong)
