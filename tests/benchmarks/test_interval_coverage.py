"""The benchmark of the intervals: its queues have the quantiles that they are held to, and its judgement is right."""

import math
import sys

import numpy as np
import pytest

from benchmarks import interval_coverage
from benchmarks.interval_coverage import Row, binomial
from benchmarks.interval_queues import LognormalSeries, Queue


def test_binomial_interval_is_clopper_and_pearson_s():
    # Of 10: none, half (Johnson, Kemp and Kotz, Univariate Discrete Distributions, 2005, tables of confidence limits).
    assert binomial(0, 10, 0.95) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert binomial(5, 10, 0.95) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert binomial(10, 10, 0.95) == (pytest.approx(0.025**0.1), 1.0)


def judged(answers, above, below):
    return Row(1000, answers, above, below, 0.1, 1000.0).faults


@pytest.mark.parametrize(
    "answers, above, below", [(1000, 25, 25), (1000, 35, 34), (1000, 10, 9), (19, 19, 0), (0, 0, 0)]
)
def test_a_row_that_chance_explains_or_that_hardly_answers_does_not_fail(answers, above, below):
    assert judged(answers, above, below) == []


@pytest.mark.parametrize(
    "answers, above, below, says",
    [
        (1000, 50, 50, ["holds in 90.0%"]),
        (1000, 6, 6, ["holds in 98.8%"]),
        (1000, 56, 0, ["true one above in 5.6%"]),
        (1000, 0, 56, ["true one below in 5.6%"]),
        (100, 20, 0, ["holds in 80.0%", "true one above in 20.0%"]),
    ],
)
def test_a_row_fails_by_its_coverage_or_by_one_side(answers, above, below, says):
    assert judged(answers, above, below) == says


@pytest.mark.parametrize(
    "queue",
    [Queue(0.5, 1.0), Queue(0.5, 0.3), Queue(0.5, 1.0, servers=2), Queue(0.3, 0.3, lag_one=0.7), LognormalSeries(0.7)],
    ids=lambda queue: queue.name,
)
def test_a_queue_has_the_quantiles_that_it_says(queue, monkeypatch):
    monkeypatch.setattr("benchmarks.interval_queues.TRUTH_RUNS", 100)
    monkeypatch.setattr("benchmarks.interval_queues.TRUTH_REQUESTS", 1_000)
    monkeypatch.setattr("benchmarks.interval_queues.AT_ONCE", 50_000)
    levels = (0.5, 0.9)
    truths, errors = queue.quantiles(levels)
    runs = np.concatenate(list(queue.sojourns(np.random.default_rng(1), 120, 1_000)))
    assert runs.shape == (120, 1_000)
    for q, truth, error in zip(levels, truths, errors, strict=True):
        shares = np.mean(runs <= truth, axis=1)
        assert abs(shares.mean() - q) < 4 * shares.std(ddof=1) / math.sqrt(len(shares)) + 2 * error / truth


def test_services_are_as_correlated_as_they_are_said_to_be():
    queue = Queue(0.5, 0.3, lag_one=0.7)
    logs = np.log(queue._services(np.random.default_rng(2), (20, 20_000)))
    assert np.corrcoef(logs[:, 1:].ravel(), logs[:, :-1].ravel())[0, 1] == pytest.approx(0.7, abs=0.01)
    services = np.exp(logs)
    assert services.mean() == pytest.approx(1.0, abs=0.01)
    assert services.std() / services.mean() == pytest.approx(0.3, abs=0.01)


def test_the_command_prints_a_row_a_length_and_names_those_that_fail(monkeypatch, capsys):
    arguments = ["--check", "--runs", "60", "--queue", "0", "--requests", "400", "--level", "p50"]
    monkeypatch.setattr(sys, "argv", ["interval_coverage", *arguments])
    monkeypatch.setattr(interval_coverage, "SHORT_QUEUES", [])
    assert interval_coverage.main() == 0
    said = capsys.readouterr().out
    assert "| M/G/1, cv 0.3 | 0.5 | p50 | 400 | 100.0% |" in said
    monkeypatch.setattr(interval_coverage, "LEAST", 0.9999)
    monkeypatch.setattr(interval_coverage, "MOST", 1.0)
    assert interval_coverage.main() == 1
    assert "fails: M/G/1, cv 0.3 at 0.5, p50 of 400: holds in 9" in capsys.readouterr().err


@pytest.mark.slow
def test_short_runs_at_a_high_load_pass_the_benchmark_s_own_check(monkeypatch, capsys):
    arguments = ["--check", "--runs", "400", "--queue", "2", "3", "--requests", "400", "4000", "--seed", "7"]
    monkeypatch.setattr(sys, "argv", ["interval_coverage", *arguments])
    monkeypatch.setattr(interval_coverage, "SHORT_QUEUES", [])
    assert interval_coverage.main() == 0, capsys.readouterr().err
