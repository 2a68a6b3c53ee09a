"""The twin beside a sweep: it learns from some variants and predicts the others."""

from __future__ import annotations

import json

import pytest

from harness.store import to_json
from harness.studies.sweep.document import SweepResult
from harness.studies.sweep.result import result
from harness.studies.sweep.trials import Trial
from tests import sweeps


@pytest.fixture(scope="module")
def predicted(tmp_path_factory) -> SweepResult:
    folder = tmp_path_factory.mktemp("predicted")
    long = ("load.requests=12000",)
    sweep = sweeps.begin(folder, "stages.second.batch.max=1,2,4", "load.rate=30/s,50/s,70/s", overrides=long)
    return result(sweeps.pretend(sweep), simulate=True)


def test_the_twin_learns_from_two_variants_and_predicts_the_others(predicted):
    twin = predicted.twin
    by_values = {tuple(variant.values.values()): variant for variant in predicted.variants}
    assert twin.learnt_from == (by_values[1, "30/s"].number, by_values[4, "70/s"].number)
    assert twin.score.variants == 7 and twin.score.median_apart < 0.1
    for variant in predicted.variants:
        found = predicted.forecast(variant)
        assert found.steady
        assert found.throughput_rps == pytest.approx(variant.throughput_rps, rel=0.03)
        assert found.e2e_ms["p50"] == pytest.approx(variant.e2e_ms.p50, rel=0.12)
        assert found.e2e_ms["p99"] == pytest.approx(variant.e2e_ms.p99, rel=0.3)
    rows = predicted.rows
    assert [row["twin.calibrated"] for row in rows].count(True) == 2
    assert all(row["twin.e2e_ms.p99"] > 0 for row in rows)


def test_the_twin_learns_anew_where_service_itself_differs(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "stages.second.mean=5 ms,10 ms", "load.rate=30/s,50/s,70/s"))
    twin = result(sweep, simulate=True).twin
    assert twin.learnt_from == (1, 3, 4, 6)
    fast, slow = (twin.forecasts[number].stages["second"].utilisation for number in (2, 5))
    assert slow == pytest.approx(2 * fast, rel=0.1)


def test_variants_that_never_ran_are_predicted_and_a_group_of_which_none_ran_is_named(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.distribution=exponential,constant", "load.rate=30/s,50/s,140/s")
    sweeps.pretend(sweep, [Trial(1, 1)])
    twin = result(sweep, simulate=True).twin
    assert twin.forecasts[2].e2e_ms["p99"] > twin.forecasts[1].e2e_ms["p99"]
    assert not twin.forecasts[3].steady and twin.forecasts[3].saturated_rps == pytest.approx(100, rel=0.1)
    assert set(twin.forecasts) == {1, 2, 3}
    assert "no prediction for variants 4, 5, 6: none of them has completed" in twin.warnings


def test_its_json_keeps_the_keys_that_readers_know(predicted):
    told = json.loads(to_json(predicted.as_json()))
    assert list(told) == [
        "kind", "folder", "scenario", "settings", "grid", "repeats", "seed", "trials", "cells", "front", "twin", "rows",
        "notes",
    ]  # fmt: skip
    assert told["grid"][0] == {"key": "stages.second.batch.max", "values": [1, 2, 4]}
    cell = told["cells"][0]
    assert (cell["cell"], cell["values"]["load.rate"], cell["throughput_ci"]) == (1, "30/s", None)
    assert set(cell["e2e_ms"]) == {"p50", "p90", "p99", "p50_ci", "p99_ci", "p50_ci_from", "p99_ci_from"}
    assert set(told["twin"]) == {"by_cell", "calibrated_on", "score", "warnings"}
    assert {"capacity_rps", "calibration_interval_ms", "e2e_ms", "stages"} < set(told["twin"]["by_cell"]["1"])
    assert set(told["twin"]["score"]) == {"cells", "median_apart", "intervals", "within"}
