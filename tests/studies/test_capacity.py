"""`harness capacity`: the highest load that keeps an SLO, with the twin as the executor where the answer is exact."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from scipy.optimize import brentq

from harness import theory
from harness.errors import UsageError
from harness.report.plots import capacity as plots
from harness.report.screens import capacity as screen
from harness.store import to_json
from harness.studies.capacity import CapacityResult, Limit, load
from harness.studies.capacity.curve import crossing, curve
from harness.studies.capacity.result import conclude
from harness.theory import Prediction
from tests.pipelines import plan
from tests.properties import some
from tests.studies.capacity.searching import (
    POISSON,
    SERVICE_S,
    SIZE,
    delay,
    goal,
    highest,
    last,
    mm1_rate,
    twin,
    variants,
    weigh_of,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", some([1, 2], few=1))
def test_the_capacity_of_mm1_is_the_exact_one(seed: int) -> None:
    state = last(variants(delay(), load={"seed": seed}), goal("p99=100ms"), twin)
    found = highest(state)
    exact = mm1_rate(0.1)
    assert state.status == "answered"
    assert found.rate_rps == pytest.approx(exact, rel=0.05)
    assert found.interval_rps[0] < exact < found.interval_rps[1]
    assert found.half_width <= 0.05
    assert found.limited_by == "slo"
    # p99 = ln 100 / (mu - lambda), with 10 % more load
    assert found.next is not None
    assert found.next.excess == pytest.approx(math.log(100) / (200 - 1.1 * exact) / 0.1, rel=0.2)


@pytest.mark.slow
def test_several_limits_the_one_that_is_met_last_counts() -> None:
    state = last(variants(delay()), goal("p99=1s", "mean=15ms"), twin)
    # the mean sojourn time of M/M/1 is 1 / (mu - lambda)
    assert highest(state).rate_rps == pytest.approx(200 - 1 / 0.015, rel=0.05)


@pytest.fixture(scope="module")
def two_workers() -> CapacityResult:
    """One worker or two."""
    state = last(variants(delay(), vary=["stages.server.workers=1,2"]), goal("p99=60ms"), twin)
    return conclude(state)


def test_the_best_variant_is_found_and_clearly_worse_ones_are_not_measured(two_workers: CapacityResult) -> None:
    def p99(rate: float) -> float:
        found = theory.mmc(rate, SERVICE_S, 2)
        assert isinstance(found, Prediction)
        return found.sojourn.quantile_s(0.99)

    exact = brentq(lambda rate: p99(rate) - 0.06, 100, 399)
    assert two_workers.highest is not None
    assert two_workers.highest.overrides == ("stages.server.workers=2",)
    assert two_workers.highest.rate_rps == pytest.approx(exact, rel=0.05)
    one, two = two_workers.variants
    assert (one.verdict, two.verdict) == ("predicted lower", "best")
    assert one.predicted_rps == pytest.approx(mm1_rate(0.06), rel=0.1)


@pytest.mark.study
def test_variants_within_the_noise_of_each_other_are_listed() -> None:
    result = conclude(
        last(variants(delay(), vary=["stages.server.capacity=3000,4000"]), goal("p99=100ms", within=0.1), twin)
    )
    assert sorted(variant.verdict for variant in result.variants) == ["best", "no difference"]
    assert any("Within the noise" in sentence for sentence in result.findings)


def test_service_that_is_longer_than_the_slo_is_told_apart_from_queueing() -> None:
    state = last(variants(delay()), goal("p99=15ms"), twin)  # p99 of the service alone is 23 ms
    result = conclude(state)
    assert (state.status, result.attainable, result.highest) == ("answered", False, None)
    assert len(state.candidates[0].runs) == 1
    assert "No load keeps p99 <= 15 ms" in result.findings[0]


def test_an_slo_that_holds_as_far_as_there_is_a_steady_state_leaves_throughput_as_the_limit() -> None:
    found = highest(last(variants(delay()), goal("p99=100s"), twin))
    assert found.limited_by == "throughput"
    assert found.rate_rps == pytest.approx(0.97 / SERVICE_S, rel=0.05)
    assert found.next is not None and found.next.excess is None
    assert found.next.growth_rps == pytest.approx(1.1 * found.rate_rps - 200, abs=6)


@pytest.mark.slow
def test_what_is_dropped_counts_against_the_slo() -> None:
    """M/M/1/4 that sheds: no latency is ever above 1 s, but more than 1 % are lost from some rate on."""
    state = last(variants(delay(capacity=4), on_full="shed"), goal("p99=1s"), twin)

    def loss(rate: float) -> float:
        found = theory.mm1k(rate, SERVICE_S, 4)
        return found.loss - 0.01

    assert highest(state).rate_rps == pytest.approx(brentq(loss, 10, 199), rel=0.05)


def test_where_batches_wait_to_fill_the_highest_load_counts_and_not_the_lowest() -> None:
    """At a low load every request waits 100 ms for its batch; at a higher one batches fill before that."""
    slow = plan(
        {"delay": {"name": "server", "distribution": "constant", "mean": "5 ms", "capacity": 64,
                   "batch": {"max": 4, "timeout": "100 ms"}}},
        load={**POISSON, "rate": "100/s", "requests": 2000},
    )  # fmt: skip
    limits = (Limit("p90", 25_000_000),)
    records = twin(slow).records
    given = curve(slow, weigh_of(slow, records).profile, limits, SIZE)
    assert given.excess(2.0) > 1.0
    found = crossing(given)
    assert found.limited_by == "slo"
    assert given.excess(found.rate_rps * 0.98) <= 1.0 < given.excess(found.rate_rps * 1.02)
    assert found.rate_rps > 300


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screen_fits_and_the_plot_is_drawn(columns: int, tmp_path: Path, two_workers: CapacityResult) -> None:
    text = io.StringIO()
    screen.show(Console(file=text, width=columns, highlight=False), two_workers)
    assert "server.workers=2" in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= columns
    plots.save(two_workers, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_the_keys_of_the_file_are_those_that_readers_know(two_workers: CapacityResult) -> None:
    told = json.loads(to_json(two_workers.as_json()))
    assert list(told) == [
        "schema_version", "kind", "scenario", "slo", "within", "status", "attainable", "answer", "configurations",
        "measured_s", "elapsed_s", "sentences", "saved",
    ]  # fmt: skip
    assert {"settings", "rate_rps", "interval_rps", "throughput_rps", "bottleneck", "next", "curve"} < set(
        told["answer"]
    )
    best = told["configurations"][1]
    assert {"name", "settings", "predicted_rps", "measured_rps", "interval_rps", "verdict", "runs"} < set(best)
    assert {"capacity_rps", "long_run_interval", "measured", "lost"} < set(best["runs"][0])


def test_what_is_saved_is_read_back_the_same(tmp_path: Path, two_workers: CapacityResult) -> None:
    (tmp_path / "capacity.json").write_text(to_json(two_workers.as_json()))
    assert load(tmp_path) == two_workers


def test_a_search_of_0_1_0_is_read_shown_and_drawn(tmp_path: Path) -> None:
    (saved,) = (ROOT / "tests/saved/0.1.0/tiny").glob("capacity-*")
    result = load(saved)
    assert result.highest is not None and result.shown is not None
    assert result.highest.overrides == ("stages.infer.workers=2",)
    assert result.shown.name == "infer.workers=2"
    told, written = json.loads(to_json(result.as_json())), json.loads((saved / "capacity.json").read_text())
    assert told == written
    text = io.StringIO()
    screen.show(Console(file=text, width=100), result)
    assert "275/s  95 % interval 251 … 302/s (± 9.5%)" in text.getvalue()
    plots.save(result, tmp_path / "plot.svg")
    assert "infer.workers=2" in (tmp_path / "plot.svg").read_text()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1, "kind": "sweep"}'])
def test_a_file_that_is_no_search_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "capacity.json").write_text(text)
    with pytest.raises(UsageError, match="search for the capacity") as error:
        load(tmp_path)
    assert str(tmp_path / "capacity.json") in str(error.value)
