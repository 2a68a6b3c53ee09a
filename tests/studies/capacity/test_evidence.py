"""What runs say about the capacity: no more than is true, and failures count."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.optimize import brentq
from scipy.stats import norm

from harness import theory
from harness.plan import Plan
from harness.records import Phase, RunRecords
from harness.report.plots import capacity as plots
from harness.report.screens import capacity as screen
from harness.stats.slo import latencies
from harness.stats.summary import summarise_run
from harness.studies.capacity import Limit, RunResult, find
from harness.studies.capacity.evidence import DRIFT, EARLIER, combine
from harness.studies.capacity.slo import excess
from harness.theory import Prediction
from tests.facts import facts
from tests.pipelines import plan
from tests.studies.capacity.searching import (
    POISSON,
    SERVICE_S,
    delay,
    failing,
    goal,
    mm1_rate,
    twin,
    variants,
    weigh_of,
)


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
