"""`harness capacity`: the highest load that keeps an SLO, with the twin as the executor where the answer is exact."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from scipy.optimize import brentq
from scipy.stats import norm

from harness import theory
from harness.commands import cli
from harness.errors import HarnessError, StageFailed, UsageError
from harness.plan import Plan, offered_rate, resolve
from harness.records import Outcome, Phase, RunRecords
from harness.report.plots import capacity as plots
from harness.report.screens import capacity as screen
from harness.scenario import combinations, parse_axes, with_overrides
from harness.stats.slo import latencies
from harness.stats.summary import summarise_run
from harness.store import list_runs, to_json
from harness.studies import capacity
from harness.studies.capacity import CapacityResult, Goal, Limit, RunResult, check_load, find, limits_of, load, search
from harness.studies.capacity.curve import Size, crossing, curve
from harness.studies.capacity.document import HighestRate
from harness.studies.capacity.evidence import DRIFT, EARLIER, Evidence, combine, weigh
from harness.studies.capacity.result import conclude
from harness.studies.capacity.runs import load_overrides
from harness.studies.capacity.slo import excess
from harness.studies.capacity.state import State
from harness.studies.predict.forecast import saturated
from harness.studies.variants import Variant, label_of
from harness.theory import Prediction
from harness.twin import Demand, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.services import GivenServices
from tests.facts import facts
from tests.pipelines import plan, scenario
from tests.properties import some

ROOT = Path(__file__).parents[2]
SERVICE_S = 0.005
SIZE = Size(requests=8_000, replications=6, copies=5, resamples=40)
POISSON = {"arrivals": "poisson", "rate": "1/s", "requests": 1, "warmup": 20}
PLENTY = {"capacity": 4096}


def twin(planned: Plan, settings: Sequence[str] = ()) -> RunResult:
    """The twin as an executor of the Plan: the same arrivals and draws that processes would have."""
    pipeline, services = of_plan(planned), GivenServices(planned)
    limit = saturated(pipeline, services, 1).throughput_rps if planned.saturates_first else None
    rate_rps = offered_rate(planned, limit)
    due = planned.due_times(rate_rps) + START_NS
    drawn = services.draw(pipeline, len(due), np.random.default_rng(planned.load.seed + 1000))
    records = compiled.simulate(pipeline, Demand(drawn, due, warmup=planned.load.warmup))
    load = {"nominal_rps": rate_rps, "calibrated_capacity_rps": limit}
    return RunResult(records, summarise_run(planned, records, facts(planned, load=load)), "")


def delay(name: str = "server", **options: Any) -> dict[str, Any]:
    return {"delay": {"name": name, "mean": f"{SERVICE_S * 1e3:g} ms", **PLENTY, **options}}


def variants(*stages: dict[str, Any], vary: Sequence[str] = (), **keys: Any) -> list[Variant]:
    load = {**POISSON, **keys.pop("load", {})}
    given = scenario(*stages, load=load, **keys)
    return [
        Variant(Path(), (), own, label_of(own), resolve(with_overrides(given, own)))
        for own in combinations(parse_axes(vary), 256)
    ]


def goal(*limits: str, **keys: Any) -> Goal:
    parsed = limits_of(scenario(delay(), load=POISSON), limits)
    return Goal(limits=parsed, **{"size": SIZE, **keys})


def last(*arguments: Any, **keys: Any) -> State:
    return list(search(*arguments, **keys))[-1][0]


def mm1_rate(limit_s: float) -> float:
    """The sojourn time of M/M/1 is exponential with rate mu - lambda: its p99 is ln 100 / (mu - lambda)."""
    return 1 / SERVICE_S - math.log(100) / limit_s


def highest(state: State) -> HighestRate:
    """The highest rate that a search has found."""
    found = conclude(state).highest
    assert found is not None
    return found


# The result


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
    given = curve(slow, weigh_of(slow, records).calibration, limits, SIZE)
    assert given.excess(2.0) > 1.0
    found = crossing(given)
    assert found.limited_by == "slo"
    assert given.excess(found.rate_rps * 0.98) <= 1.0 < given.excess(found.rate_rps * 1.02)
    assert found.rate_rps > 300


# Evidence


def weigh_of(planned: Plan, records: RunRecords, *limits: Limit) -> Evidence:
    summary = summarise_run(planned, records, facts(planned))
    given = limits or (Limit("p99", 100_000_000),)
    return weigh(planned, records, summary, given, replace(SIZE, copies=8), settings=(), path="", purpose="lower edge")


@pytest.mark.study
def test_a_run_says_more_than_its_p99_and_how_much_it_says_is_true() -> None:
    """Over independent runs of 1,500 requests: errors as large as stated, and far below those of the p99 alone."""
    cv = 0.5
    sigma = math.sqrt(math.log1p(cv**2))
    points = SERVICE_S * np.exp(sigma * norm.ppf((np.arange(4000) + 0.5) / 4000) - sigma**2 / 2)

    def p99(rate: float) -> float:
        found = theory.mg1(rate, points)
        assert isinstance(found, Prediction)
        return found.sojourn.quantile_s(0.99)

    exact = brentq(lambda rate: p99(rate) - 0.06, 100, 190)
    errors, stated, raw = [], [], []
    for seed in range(1, 11):
        load = {**POISSON, "rate": f"{exact}/s", "requests": 1500, "warmup": 150, "seed": seed}
        planned = plan(delay(distribution="lognormal", cv=cv), load=load)
        found = weigh_of(planned, twin(planned).records, Limit("p99", 60_000_000))
        assert found.correlation > 0.999
        errors.append(math.log(found.highest_rps / exact))
        stated.append(found.log_error)
        raw.append(math.log(found.measured))
    assert abs(np.mean(errors)) < 0.02
    assert 0.5 < np.std(errors) / np.mean(stated) < 1.8
    steepness = math.log(p99(1.01 * exact) / p99(0.99 * exact)) / math.log(1.01 / 0.99)
    assert np.std(raw) / steepness > 2 * np.std(errors)


def test_latencies_that_the_twin_does_not_know_of_are_noise_and_not_certainty() -> None:
    """A tenth of the requests held back at random, outside of every service: the interval grows by what that adds."""
    planned = plan(delay(), load={**POISSON, "rate": "100/s", "requests": 1500, "warmup": 50})
    records = twin(planned).records
    calm = weigh_of(planned, records)
    rng = np.random.default_rng(1)
    held = (rng.exponential(60e6, len(records)) * (rng.random(len(records)) < 0.1)).astype(np.int64)
    rows = records.rows.copy()
    rows[:, records.layout.columns["due"]] -= held
    order = np.argsort(rows[:, 0], kind="stable")
    disturbed = weigh_of(planned, RunRecords(records.layout, rows[order], {}))
    assert disturbed.residual > 1.5
    assert disturbed.highest_rps < calm.highest_rps
    assert disturbed.log_error > 1.5 * calm.log_error


def test_a_saturated_run_does_not_meet_anything() -> None:
    planned = plan(delay(), load={**POISSON, "rate": "230/s", "requests": 3000})
    found = weigh_of(planned, twin(planned).records)
    assert (found.saturated, found.verdict, found.raw) == (True, "not met", None)
    assert found.highest_rps == pytest.approx(mm1_rate(0.1), rel=0.1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_interval_of_few_runs_holds_the_capacity_that_they_scatter_about(count: int) -> None:
    """On machines whose drift is as well known as EARLIER runs make it, the interval holds in 95 of 100 searches."""
    rng = np.random.default_rng(5)
    planned = plan(delay(), load={**POISSON, "rate": "150/s", "requests": 300})
    one = replace(weigh_of(planned, twin(planned).records), log_error=0.02)
    held, searches = 0, 2000
    for _ in range(searches):
        spread = math.hypot(DRIFT, 0.02) * math.sqrt(EARLIER / rng.chisquare(EARLIER))
        capacities = 150 * np.exp(rng.normal(0, spread, count))
        found = combine([replace(one, highest_rps=x, rate_rps=x) for x in capacities])
        held += found.lo_rps <= 150 <= found.hi_rps
    assert held / searches == pytest.approx(0.95, abs=0.015)


def test_requests_that_never_completed_are_infinitely_late() -> None:
    planned = plan(delay(capacity=2), load={**POISSON, "rate": "150/s", "requests": 500}, on_full="shed")
    records = twin(planned).records.of_phase(Phase.MEASURED)
    late = latencies(records)
    assert np.isinf(late).any()
    assert excess(late, [Limit("p99", 10**12)]) == math.inf
    assert excess(late, [Limit("p50", 10**12)]) < 1


def failing(records: RunRecords, rows: Sequence[int]) -> RunRecords:
    """The same run, in which the last stage refused these requests."""
    found = records.rows.copy()
    found[rows, records.layout.columns["outcome"]] = Outcome.FAILED
    return RunRecords(records.layout, found, dict.fromkeys(rows, "refused"))


def test_five_of_97_that_failed_are_no_p99_that_is_met() -> None:
    """Far from any queue: the others take some 5 ms of 1 s, and the twin, which knows of no failure, says so."""
    planned = plan(delay(), load={**POISSON, "rate": "20/s", "requests": 97, "warmup": 0})
    records = twin(planned).records
    limit = Limit("p99", 10**9)
    assert weigh_of(planned, records, limit).verdict == "met"
    found = weigh_of(planned, failing(records, range(10, 97, 20)), limit)
    assert found.measured == math.inf
    assert found.verdict == "not met"
    assert found.highest_rps == 0
    assert weigh_of(planned, failing(records, range(10, 97, 20)), Limit("p50", 10**9)).verdict == "met"
    # One of 97 is 1 %, within the noise of it: nobody knows.
    assert weigh_of(planned, failing(records, [50]), limit).verdict == "undecided"


def test_a_share_that_fails_at_any_load_moves_the_quantile_of_the_others_that_has_to_hold() -> None:
    """Every 20th: p90 of all of them is the quantile 0.9 / 0.95 of those that complete, exponential in M/M/1."""
    planned = plan(delay(), load={**POISSON, "rate": "120/s", "requests": 4000, "warmup": 0})
    found = weigh_of(planned, failing(twin(planned).records, range(0, 4000, 20)), Limit("p90", 60_000_000))
    exact = 1 / SERVICE_S + math.log(1 - 0.9 / 0.95) / 0.06
    assert found.highest_rps == pytest.approx(exact, rel=0.04)
    assert exact < 1 / SERVICE_S + math.log(1 - 0.9) / 0.06 - 10, "far from the one that ignores them"


def test_a_search_whose_requests_fail_says_so(tmp_path: Path) -> None:
    """And its file has no infinity in it, but says why there is no figure."""

    def with_failures(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned, settings)
        records = failing(ran.records, range(5, len(ran.records), 20))
        summary = summarise_run(planned, records, facts(planned, load=ran.summary.load.as_json()))
        return RunResult(records, summary, "")

    finding = find(variants(delay()), goal("p99=1s", within=0.2), with_failures, tmp_path, lambda s, step: None)
    assert finding.result.attainable is False
    assert re.search(
        r"5\.01 % of the requests were lost, most often .* refused\. They count as", finding.result.findings[0]
    )
    saved = json.loads(Path(str(finding.result.saved)).read_text())
    runs = saved["configurations"][0]["runs"]
    assert all(run["measured"] is None and "% of the requests were lost" in run["why"] for run in runs)
    out = io.StringIO()
    screen.show(Console(file=out, width=100), finding.result)
    assert "infinite" in out.getvalue()
    plots.save(finding.result, tmp_path / "plot.png")


# How a search ends


def test_a_variant_that_fails_is_recorded_and_the_others_go_on() -> None:
    def failing(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned, settings)
        if "stages.server.workers=2" in settings:
            return RunResult(ran.records, ran.summary, "", StageFailed("worker died", where="server"))
        return ran

    result = conclude(
        last(variants(delay(), vary=["stages.server.workers=1,2"]), goal("p99=100ms", within=0.1), failing)
    )
    assert [variant.verdict for variant in result.variants] == ["best", "failed"]
    assert result.variants[1].failed == "worker died"
    assert result.highest is not None
    assert result.highest.rate_rps == pytest.approx(mm1_rate(0.1), rel=0.1)


def test_a_search_whose_every_variant_fails_ends_with_the_error(tmp_path: Path) -> None:
    def failing(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned)
        return RunResult(ran.records, ran.summary, "", StageFailed("worker died", where="server"))

    finding = find(variants(delay()), goal("p99=100ms"), failing, tmp_path, lambda state, step: None)
    assert isinstance(finding.error, StageFailed)
    assert finding.result.status == "failed"


@pytest.mark.parametrize("calls", [1, 3])
def test_a_search_that_is_interrupted_keeps_what_it_found(tmp_path: Path, calls: int) -> None:
    seen = []

    def interrupted(planned: Plan, settings: Sequence[str]) -> RunResult:
        seen.append(settings)
        ran = twin(planned)
        return RunResult(ran.records, ran.summary, "", signal=signal.SIGINT if len(seen) == calls else 0)

    finding = find(variants(delay()), goal("p99=100ms"), interrupted, tmp_path, lambda state, step: None)
    saved = json.loads(Path(str(finding.result.saved)).read_text())
    assert finding.state.signal == signal.SIGINT
    assert saved["status"] == "interrupted"
    assert len(saved["configurations"][0]["runs"]) == calls - 1


def test_ctrl_c_between_two_runs_does_the_same(tmp_path: Path) -> None:
    seen = []

    def interrupted(planned: Plan, settings: Sequence[str]) -> RunResult:
        seen.append(settings)
        if len(seen) == 4:
            signal.raise_signal(signal.SIGINT)
        return twin(planned)

    finding = find(variants(delay()), goal("p99=100ms"), interrupted, tmp_path, lambda state, step: None)
    assert finding.state.status == "interrupted"
    assert json.loads(Path(str(finding.result.saved)).read_text())["answer"]["rate_rps"] > 0


def test_at_the_time_limit_the_interval_so_far_is_the_result() -> None:
    """A clock that goes by what each run would take: the limit ends the search before the interval is narrow enough."""
    now = [0.0]

    def timed(planned: Plan, settings: Sequence[str]) -> RunResult:
        ran = twin(planned)
        now[0] += float(np.ptp(ran.records.due)) / 1e9 + 2.0
        return ran

    asked = goal("p99=100ms", within=0.005, time_limit_s=90.0)
    state = last(variants(delay()), asked, timed, clock=lambda: now[0])
    result = conclude(state, outlook=False)
    assert state.status == "budget spent"
    assert 60 < state.elapsed_s < 100
    assert result.highest is not None
    assert result.highest.interval_rps[0] < mm1_rate(0.1) < result.highest.interval_rps[1]
    assert "The time limit was reached" in result.findings[-1]


def test_runs_of_all_variants_meet_the_same_arrivals_and_no_two_of_one_do() -> None:
    one, two = (variant.plan for variant in variants(delay(), vary=["stages.server.workers=1,2"]))
    seed = load_overrides(one, 10, 100, 2)[-1]
    assert seed == load_overrides(two, 10, 100, 2)[-1] != load_overrides(one, 10, 100, 3)[-1]


# What people type


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slo", "p98=1s"], "expected a statistic and its limit"),
        (["--slo", "p99=150"], "a duration with its unit"),
        (["--slo", "p99=0ms"], "in no time"),
        (["--slo", "p99=1s", "--slo", "p99=2s"], "limited twice"),
        ([], "no slo"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers"], "KEY=VALUE"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers=1,,2"], "expected a value"),
        (["--slo", "p99=1s", "--vary", "load.rate=1/s,2/s"], "what is sought"),
        (["--slo", "p99=1s", "--vary", "stages.server.workers=0,1"], "expected at least 1, got 0"),
        (["--slo", "p99=1s", "--set", "load.rate=3/s"], "the search itself sets load.rate"),
        (["--slo", "p99=1s", "--set", "load.arrivals=closed"], "a closed load has no rate"),
        (["--slo", "p99=1s", "--time-limit", "10"], "a duration with its unit"),
        (["--set", "slo.max=1s"], "grows with the number of requests"),
        # the names that these options had before
        (["--slo", "p99=1s", "--over", "stages.server.workers=0,1"], "expected at least 1, got 0"),
        (["--slo", "p99=1s", "--budget", "10"], "--time-limit 10: expected a duration with its unit"),
    ],
)
def test_bad_usage_is_refused_before_anything_runs(tmp_path: Path, arguments: list[str], said: str) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(ONE)
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(
            cli, ["capacity", str(file), "--out", str(tmp_path / "out"), *arguments], catch_exceptions=False
        )
    assert not (tmp_path / "out").exists()


def test_former_names_of_options_are_in_no_help() -> None:
    told = CliRunner().invoke(cli, ["capacity", "--help"]).stdout
    assert "--vary" in told and "--time-limit" in told
    assert "--over" not in told and "--budget" not in told


def test_a_list_is_one_value_of_a_key() -> None:
    axes = parse_axes(["stages.preprocess.resize=[256,320],224"])
    found = capacity.variants(ROOT / "scenarios/resnet18_cpu.yaml", (), axes)
    assert [variant.label for variant in found] == ["preprocess.resize=[256,320]", "preprocess.resize=224"]


@pytest.mark.parametrize("within", ["0", "51%", "five"])
def test_a_width_that_no_interval_can_have_is_refused(tmp_path: Path, within: str) -> None:
    arguments = ["capacity", str(tmp_path / "one.yaml"), "--slo", "p99=1s", "--within", within]
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 2
    assert f"'{within}' is not a share such as 5% or 0.05, from 0.001 to 0.5" in " ".join(refused.output.split())


def test_a_closed_load_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="has no rate"):
        check_load(plan(delay(), load={"arrivals": "closed", "requests": 10}))


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screen_fits_and_the_plot_is_drawn(columns: int, tmp_path: Path, two_workers: CapacityResult) -> None:
    text = io.StringIO()
    screen.show(Console(file=text, width=columns, highlight=False), two_workers)
    assert "server.workers=2" in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= columns
    plots.save(two_workers, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


# What is saved


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


# Real runs

ONE = """\
name: one
executor: asyncio
load: {arrivals: poisson, rate: 1/s, requests: 1, warmup: 10, seed: 1}
stages:
  - delay: {name: server, distribution: exponential, mean: 4 ms, capacity: 512}
"""


@pytest.mark.slow
def test_real_runs_are_saved_and_so_is_the_answer(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    done = CliRunner().invoke(
        cli,
        ["capacity", str(tmp_path / "one.yaml"), "--slo", "p99=400ms", "--run-length", "1s", "--within", "50%",
         "--set", "load.calibration=1s", "--out", str(tmp_path / "out"), "--json", str(tmp_path / "answer.json")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert json.loads(Path(answer["saved"]).read_text()) == answer
    runs = [run for row in answer["configurations"] for run in row["runs"]]
    assert {str(run.path) for run in list_runs(tmp_path / "out")} == {run["path"] for run in runs}
    assert len(runs) >= 4
    assert 0 < answer["answer"]["rate_rps"] < 250  # a service takes 4 ms at least


@pytest.mark.slow
def test_ctrl_c_shows_and_saves_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    command = [sys.executable, "-m", "harness", "capacity", str(tmp_path / "one.yaml"), "--slo", "p99=400ms"]
    command += ["--set", "load.calibration=1s", "--run-length", "1s", "--within", "0.1%", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(list_runs(tmp_path))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    (saved,) = (tmp_path / "one").glob("capacity-*/capacity.json")
    assert json.loads(saved.read_text())["status"] == "interrupted"
    assert "The search ended before" in output


@pytest.mark.slow
def test_an_slo_that_no_load_keeps_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    command = ["capacity", str(tmp_path / "one.yaml"), "--slo", "p50=1ms", "--run-length", "1s"]
    done = CliRunner().invoke(cli, [*command, "--set", "load.calibration=1s", "--out", str(tmp_path)])
    assert done.exit_code == 3
    assert "no load keeps it" in done.output
    assert not isinstance(done.exception, HarnessError)
