"""Predictions of runs that were held out, of pipelines whose service grows with the load as shared cores make it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness import scenario, store
from harness.commands import cli
from harness.errors import UsageError
from harness.plan import resolve
from harness.stats.summary import summarise_run
from harness.store import SavedRun
from harness.studies.predict.heldout import held_out
from harness.twin import Demand, Overhead, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.pooling import pooled, slowdowns
from harness.twin.service_profile import ServiceProfile, profile_of
from tests.facts import facts
from tests.pipelines import plan

N = 6000
SIZES = np.array([1.0, 1.5, 2.0, 2.5])


def run(tmp_path: Path, rate: float, growth: float, seed: int) -> SavedRun:
    """Requests at a rate of a stage that takes 10 ms, and longer by `growth` for each 100/s."""
    shape = plan(
        {"delay": {"name": "server", "capacity": 64, "batch": {"max": 4, "timeout": "2 ms"}}},
        load={"arrivals": "poisson", "rate": f"{rate}/s", "requests": N},
    )
    rng = np.random.default_rng(seed)
    mean = 10e6 * (1 + growth * rate / 100)
    service = (rng.gamma(16, mean / 16, (N, 1)) * SIZES).astype(np.int64)
    due = START_NS + np.cumsum(rng.exponential(1e9 / rate, N)).astype(np.int64)
    records = compiled.simulate(of_plan(shape, {"server": Overhead(50_000, 30_000)}), Demand((service,), due))
    summary = summarise_run(shape, records, facts(shape, started_at=f"2026-01-01T00:00:{seed:02d}"))
    files = {"resolved.yaml": scenario.dump(shape.scenario)}
    return store.save(tmp_path, "server", summary, records, files)


def learnt(saved: SavedRun) -> ServiceProfile:
    return profile_of(resolve(scenario.load(saved.path / "resolved.yaml")), saved.records)


@pytest.mark.parametrize("growth", [0.0, 0.5])
def test_held_out_runs_between_and_beyond_are_predicted(tmp_path: Path, growth: float) -> None:
    known = [run(tmp_path, rate, growth, seed) for rate, seed in ((40, 1), (80, 2))]
    rows = held_out(known, [run(tmp_path, 60, growth, 3), run(tmp_path, 88, growth, 4)]).rows
    for row in rows:
        assert abs(row.twin.error["p50"]) < 0.05
        assert abs(row.twin.error["p99"]) < 0.1
        low, high = row.twin.range_ms["p99"]
        assert low < row.twin.e2e_ms["p99"] < high
        assert row.mm1.error is not None and abs(row.mm1.error["p99"]) > 0.2
    if growth:
        error = rows[1].constant_service.error
        assert error is not None and abs(error["p50"]) > 0.06


def test_service_is_scaled_with_the_load_and_not_far_beyond_it(tmp_path: Path) -> None:
    profiles = [learnt(run(tmp_path, rate, 0.5, seed)) for rate, seed in ((40, 1), (90, 2))]
    low, middle, high, beyond, far = (slowdowns(profiles, "server", rate) for rate in (40, 65, 90, 500, 900))
    assert low[0] == pytest.approx(1, abs=0.02)
    assert high[1] == pytest.approx(1, abs=0.02)
    assert middle[0] == pytest.approx((1.2 * 1.45) ** 0.5 / 1.2, rel=0.03)
    assert beyond == far
    assert high[1] < beyond[1] < 1.15
    assert slowdowns(profiles, "server", None) == [1.0, 1.0]


def test_a_machine_in_another_state_is_told_from_a_wrong_model(tmp_path: Path) -> None:
    """Slower at the lower rate: that is no effect of the load, and what it does to a prediction is shown as such."""
    known = [run(tmp_path, rate, -0.3, seed) for rate, seed in ((40, 1), (80, 2))]
    assert slowdowns([learnt(saved) for saved in known], "server", 60) == [1.0, 1.0]
    scored = run(tmp_path, 60, 0.5, 3)
    (row,) = held_out(known, [scored]).rows
    assert row.service_error == pytest.approx(0.82 / 1.3 - 1, abs=0.02)
    arguments = [f for saved in known for f in ("--calibrate", str(saved.path))]
    text = CliRunner().invoke(cli, ["crosscheck", *arguments, "--score", str(scored.path)]).stdout
    assert "In 1 of 1 scored runs service itself was over 5% off" in text


def test_runs_of_different_pipelines_are_not_pooled(tmp_path: Path) -> None:
    first = learnt(run(tmp_path, 40, 0, 1))
    with pytest.raises(ValueError, match="same stages"):
        pooled([first, ServiceProfile((), first.together, (), 40.0)])


def test_a_run_is_not_scored_on_itself(tmp_path: Path) -> None:
    saved = run(tmp_path, 40, 0, 1)
    with pytest.raises(UsageError, match="both learnt from and scored"):
        held_out([saved], [saved])


@pytest.mark.parametrize("columns", [80, 100])
def test_the_command_shows_a_ladder_and_a_score(tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    names = [str(run(tmp_path, rate, 0.2, seed).path) for rate, seed in ((40, 1), (60, 2), (80, 3))]
    text = CliRunner().invoke(cli, ["crosscheck", names[0]]).stdout
    assert "twin, replayed" in text
    scored = ["crosscheck", "--calibrate", names[0], "--calibrate", names[2], "--score", names[1]]
    table = CliRunner().invoke(cli, scored).stdout.partition("\n")[2]
    assert "59.7/s" in table
    assert all(len(line) <= columns for line in [*text.splitlines()[1:], *table.splitlines()])
    with pytest.raises(UsageError):
        CliRunner().invoke(cli, ["crosscheck", "--score", names[0]], catch_exceptions=False)
