"""Predictions from Python: the same figures as the commands'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import harness
from tests.command import harness as command

TINY: dict[str, Any] = {
    "name": "tiny",
    "executor": "asyncio",
    "load": {"arrivals": "poisson", "rate": "200/s", "requests": 60, "warmup": 1},
    "stages": [{"delay": {"name": "only", "mean": "2 ms"}}],
}
EFFORT: dict[str, Any] = {"requests": 1000, "replications": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> harness.Run:
    return harness.run(TINY, out=tmp_path_factory.mktemp("results"))


def test_a_forecast_is_that_of_the_command(run: harness.Run, tmp_path: Path) -> None:
    forecast = harness.simulate(
        TINY, {"stages.only.workers": 2}, run=run, vary={"load.rate": ["50/s", "100/s"]}, **EFFORT
    )
    (tmp_path / "tiny.yaml").write_text(json.dumps(TINY))
    arguments = ("--set", "stages.only.workers=2", "--vary", "load.rate=50/s,100/s", "--requests", 1000)
    done = command(
        "simulate", "tiny.yaml", "--from", run.path, *arguments, "--replications", 2, "--json", "-", cwd=tmp_path
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(forecast.result.as_json()))
    assert "saturated" in str(forecast)


def test_service_times_that_nobody_knows_are_refused() -> None:
    with pytest.raises(harness.UsageError, match="service times"):
        harness.simulate("resnet18_cpu", **EFFORT)


def test_a_run_is_held_against_models(run: harness.Run) -> None:
    found = harness.crosscheck(run)
    assert "twin, replayed" in str(found)
    assert found == harness.crosscheck("tiny", out=run.path.parents[1])
