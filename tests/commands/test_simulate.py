"""`harness simulate`: the command, and what stands behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import scenario, store
from harness.commands import cli
from harness.errors import HarnessError, UsageError
from harness.plan import resolve
from harness.stats.summary import summarise_run
from harness.studies.predict import whatif
from harness.studies.predict.forecast import Effort
from harness.twin import Demand, Overhead, compiled, of_plan
from harness.twin.pipeline import START_NS
from tests.facts import facts

SCENARIO = """
name: line
load: {arrivals: poisson, rate: 60/s, requests: 3000, warmup: 100, seed: 1}
stages:
  - delay: {name: first, distribution: lognormal, cv: 0.5, mean: 4 ms, capacity: 8}
  - delay: {name: second, mean: 5 ms, capacity: 8}
"""
UNKNOWN = """
name: line
load: {arrivals: poisson, rate: 60/s, requests: 3000}
stages:
  - preprocess: {name: first}
  - inference: {name: second}
"""
QUICK = ["--requests", "4000", "--replications", "6"]


def simulate(*arguments: str) -> Any:
    result = CliRunner().invoke(cli, ["simulate", *arguments, *QUICK])
    if isinstance(result.exception, HarnessError):
        raise result.exception
    return result


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """A scenario file, and a folder with a run of it that the twin made: 10 ms at the second stage."""
    file = tmp_path / "line.yaml"
    file.write_text(SCENARIO)
    loaded = scenario.load(file)
    plan = resolve(loaded)
    rng, n = np.random.default_rng(2), 3100
    service = tuple(rng.gamma(4, mean / 4, (n, 1)).astype(np.int64) for mean in (4e6, 10e6))
    due = START_NS + np.cumsum(rng.exponential(1e9 / 60, n)).astype(np.int64)
    overheads = {"first": Overhead(60_000, 30_000), "second": Overhead(80_000, 40_000)}
    records = compiled.simulate(of_plan(plan, overheads), Demand(service, due, warmup=100))
    known = facts(plan, system={"cores": 2, "during_run": {}})
    summary = summarise_run(plan, records, known)
    store.save(tmp_path / "runs", "line", summary, records, {"resolved.yaml": scenario.dump(loaded)})
    return file, tmp_path / "runs"


def test_one_stage_by_theory_and_simulation_agree() -> None:
    answer = json.loads(simulate("--service", "20ms", "--rate", "30/s", "--json", "-").stdout)
    assert answer["utilisation"] == pytest.approx(0.6)
    assert answer["theory"]["model"] == "M/M/1"
    for key, expected in (("p50", 34.657), ("p99", 230.26)):
        assert answer["theory"]["e2e_ms"][key] == pytest.approx(expected, rel=1e-4)
        low, high = answer["simulated"]["interval_ms"][key]
        assert low - (high - low) < expected < high + (high - low)
    p99 = [row["simulated"]["e2e_ms"]["p99"] for row in answer["curve"]]
    assert p99 == sorted(p99)


@pytest.mark.parametrize("columns", [80, 100])
def test_the_screen_fits_and_says_what_matters(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = simulate("--service", "20ms", "--rate", "30/s", "--servers", "2", "--cv", "0.3").stdout
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text.partition("p99 over")[0]
    for word in ("Utilisation 30.0%", "Allen-Cunneen", "approximation", "simulated", "p99 over utilisation"):
        assert word in text


def test_more_than_it_can_carry_is_an_answer() -> None:
    result = simulate("--service", "20ms", "--rate", "60/s")
    assert result.exit_code == 0
    assert "no steady state" in result.stdout
    assert "grows by 10/s" in " ".join(result.stdout.split())


def test_shedding_is_predicted_exactly() -> None:
    answer = json.loads(
        simulate("--service", "20ms", "--rate", "60/s", "--capacity", "4", "--shed", "--json", "-").stdout
    )
    assert answer["theory"]["model"] == "M/M/1/4"
    assert answer["simulated"]["dropped"] == pytest.approx(answer["theory"]["loss"], rel=0.05)


def test_a_prediction_from_a_run_meets_what_the_run_measured(saved: tuple[Path, Path]) -> None:
    file, runs = saved
    answer = json.loads(
        simulate(
            str(file), "--from", "line", "--out", str(runs), "--set", "stages.second.workers=2", "--json", "-"
        ).stdout
    )
    assert answer["measured"]["e2e_ms"]["p50"] == pytest.approx(answer["baseline"]["e2e_ms"]["p50"], rel=0.05)
    assert answer["baseline"]["stages"]["second"]["utilisation"] == pytest.approx(0.6, rel=0.05)
    assert answer["what_if"]["stages"]["second"]["utilisation"] == pytest.approx(0.3, rel=0.05)
    change, low, high = answer["difference"]["p99"]
    assert low < change < high < -0.3
    for found in (answer["baseline"], answer["what_if"]):
        low, high = found["calibration_interval_ms"]["p99"]
        assert low < found["e2e_ms"]["p99"] < high


def test_calibration_tells_the_run_from_what_the_scenario_says(saved: tuple[Path, Path]) -> None:
    """The second stage says 5 ms of itself, and was measured at 10 ms."""
    file, runs = saved
    said, measured = (
        json.loads(simulate(str(file), *source, "--json", "-").stdout)["baseline"]["stages"]["second"]["utilisation"]
        for source in ([], ["--from", "last", "--out", str(runs)])
    )
    assert said == pytest.approx(0.3, rel=0.05)
    assert measured == pytest.approx(0.6, rel=0.05)


def test_a_sweep_ends_where_there_is_no_steady_state(saved: tuple[Path, Path]) -> None:
    file, runs = saved
    source = ["--from", "last", "--out", str(runs)]
    answer = json.loads(simulate(str(file), *source, "--vary", "load.rate=50..110/30/s", "--json", "-").stdout)
    former = json.loads(simulate(str(file), *source, "--sweep", "load.rate=50..110/30", "--json", "-").stdout)
    assert former == answer
    rows = answer["sweep"]["rows"]
    assert [row["value"] for row in rows] == ["50/s", "80/s", "110/s"]
    assert [row["steady"] for row in rows] == [True, True, False]
    assert rows[2]["growth_rps"] == pytest.approx(110 - 1e3 / 10.12, abs=2)
    text = simulate(str(file), *source, "--vary", "load.rate=50..110/30").stdout
    assert "no steady state" in text
    assert "is far above the" in text


def test_batches_that_were_never_measured_are_pointed_out(saved: tuple[Path, Path]) -> None:
    file, runs = saved
    change = ["--set", "stages.second.batch={max: 4, timeout: 2 ms}"]
    text = simulate(str(file), "--from", "last", "--out", str(runs), *change).stdout
    assert "too few batches of 2 to 4" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--service", "20ms"], "--rate"),
        (["--service", "0ms", "--rate", "1/s"], "longer than 0"),
        (["--service", "5ms", "--rate", "1/s", "--batch", "32"], "does not fit"),
        (["--vary", "load.rate=1..2/1"], "--vary goes with a scenario"),
        (["FILE", "--rate", "30/s"], "--set load.rate"),
        (["FILE", "--vary", "load.rate=9"], "--vary load.rate=9: load.rate: expected a rate"),
        (["FILE", "--vary", "load.rate=9..1/1"], "FROM not above TO"),
        (
            ["FILE", "--vary", "load.seed=1..20/1", "--vary", "stages.second.workers=1..20/1"],
            "20 x 20 = 400 predictions",
        ),
        (["FILE", "--plot", "x.svg"], "no curve"),
        (["FILE", "--from", "nothing"], "no run 'nothing'"),
        (["UNKNOWN"], "nothing is known of the service times of stage 'first'"),
        (["UNKNOWN", "--from", "last"], "not the one that was measured: its kind"),
    ],
)
def test_bad_input_is_one_clear_error(
    arguments: list[str], said: str, saved: tuple[Path, Path], tmp_path: Path
) -> None:
    file, runs = saved
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text(UNKNOWN)
    given = [{"FILE": str(file), "UNKNOWN": str(unknown)}.get(a, a) for a in arguments]
    with pytest.raises(UsageError) as error:
        simulate(*given, "--out", str(runs))
    assert said in str(error.value)


def test_every_combination_is_predicted_and_drawn(saved: tuple[Path, Path], tmp_path: Path) -> None:
    """One worker of 10 ms carries no 120/s, two do; values that are no numbers stand side by side."""
    pytest.importorskip("matplotlib")
    file, _ = saved
    vary = ["--vary", "load.rate=40/s,120/s", "--vary", "stages.second.mean=5ms,10ms", "--requests", "2000"]
    answer = json.loads(simulate(str(file), *vary, "--json", "-", "--plot", str(tmp_path / "p.svg")).stdout)
    assert answer["sweep"]["key"] == "load.rate, stages.second.mean"
    rows = {row["value"]: row["steady"] for row in answer["sweep"]["rows"]}
    assert rows == {"40/s, 5ms": True, "40/s, 10ms": True, "120/s, 5ms": True, "120/s, 10ms": False}
    drawn = (tmp_path / "p.svg").read_text()
    assert "<!-- 120/s, 10ms -->" in drawn and "<!-- no steady state -->" in drawn


def test_a_closed_load_has_a_throughput(saved: tuple[Path, Path]) -> None:
    file, _ = saved
    text = file.read_text().replace("arrivals: poisson, rate: 60/s", "arrivals: closed, concurrency: 4")
    file.write_text(text)
    found = whatif.ask(scenario.load(file), [], None, Effort(4000, 5, 0)).baseline
    assert found.throughput_rps is not None and found.e2e_ms["mean"] is not None
    assert found.throughput_rps * found.e2e_ms["mean"] / 1e3 == pytest.approx(4, rel=0.02)


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    simulate("--service", "20ms", "--rate", "30/s", "--plot", str(tmp_path / "p99.svg"))
    assert "svg" in (tmp_path / "p99.svg").read_text()[:500]
