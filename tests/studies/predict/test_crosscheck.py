"""The ladder: what each rung explains of runs that the twin made, and what the sentences make of it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from harness.plan import Plan
from harness.records import RunRecords
from harness.report.screens import crosscheck
from harness.report.screens import ladder as report
from harness.studies.predict.crosscheck import bottleneck, ladder, lag_one, meaning
from harness.studies.predict.document import RunLadder
from harness.summary import Rung
from harness.twin import Demand, compiled, of_plan
from harness.twin.pipeline import START_NS
from tests.pipelines import plan

N = 20_000


def made(service_ns: np.ndarray, *stages: dict, rate: float = 60) -> tuple[Plan, RunRecords]:
    shape = plan(*stages, load={"arrivals": "poisson", "rate": f"{rate}/s", "requests": N, "warmup": 0})
    due = START_NS + np.cumsum(np.random.default_rng(5).exponential(1e9 / rate, N)).astype(np.int64)
    services = tuple(s.astype(np.int64)[:, None] + 1 for s in service_ns)
    return shape, compiled.simulate(of_plan(shape), Demand(services, due))


def one(**options: object) -> dict:
    return {"delay": {"name": "server", "capacity": 16384, **options}}


def errors(rungs: Sequence[Rung], key: str = "p99") -> dict[str, float]:
    return {rung.model: rung.error[key] for rung in rungs}


def test_every_rung_holds_for_a_run_that_is_an_mm1() -> None:
    shape, records = made(np.random.default_rng(1).exponential(1e7, (1, N)), one())
    rungs = ladder(shape, records)
    assert [rung.model for rung in rungs][:3] == ["M/M/1", "M/G/1, measured service", "Allen-Cunneen"]
    assert all(abs(error) < 0.08 for error in errors(rungs).values())
    assert errors(rungs)["twin, replayed"] == 0
    assert rungs[-1].correlation == pytest.approx(1)
    assert "explain this run" in meaning(shape, records, rungs)[0]


def test_constant_service_is_what_mm1_does_not_know() -> None:
    shape, records = made(np.full((1, N), 1e7), one())
    rungs = ladder(shape, records)
    assert errors(rungs)["M/M/1"] > 0.5
    assert abs(errors(rungs)["M/G/1, measured service"]) < 0.06
    assert "coefficient of variation of 0.00" in meaning(shape, records, rungs)[1]


def test_a_rung_says_how_far_its_approximation_is_off_in_itself() -> None:
    shape, records = made(np.full((1, N), 1e7), one())
    found = {rung.model: rung for rung in ladder(shape, records)}
    bias = found["Allen-Cunneen"].p99_bias
    assert bias > 0.03
    assert f"p99 is {bias:.0%} too high for such service (cv 0.00)" in found["Allen-Cunneen"].note
    # What is beyond the exact queue's own error is this.
    off = errors(list(found.values()))
    gap = (1 + off["Allen-Cunneen"]) / (1 + off["M/G/1, measured service"])
    assert gap - 1 == pytest.approx(bias, abs=0.03)
    text = io.StringIO()
    Console(file=text, width=80).print(report.ladder(dict.fromkeys(("p50", "p90", "p99"), 1.0), list(found.values())))
    assert f"Allen-Cunneen, {bias:.0%} high" in text.getvalue()


def test_what_explains_a_run_is_not_called_a_prediction() -> None:
    shape, records = made(np.random.default_rng(1).exponential(1e7, (1, N)), one())
    rungs = ladder(shape, records)
    assert "no test of a prediction" in meaning(shape, records, rungs)[0]
    text = io.StringIO()
    levels = dict.fromkeys(("p50", "p90", "p99"), 1.0)
    answer = RunLadder(kind="ladder", run="x", measured_ms=levels, rungs=rungs, meaning=())
    crosscheck.show(Console(file=text, width=80), answer)
    assert "validates the queueing, and predicts nothing" in " ".join(text.getvalue().split())
    assert all(rung.p99_bias is None for rung in rungs)  # exponential service: exact


def test_slow_services_that_come_together_are_what_drawing_anew_loses() -> None:
    slow = np.repeat(np.random.default_rng(3).random(N // 50) < 0.2, 50)
    shape, records = made(np.where(slow, 2.2e7, 5e6)[None], one())
    rungs = ladder(shape, records)
    assert lag_one(shape, records, 0) > 0.9
    assert errors(rungs)["twin, service drawn anew"] < -0.3
    assert any("come one after another" in sentence for sentence in meaning(shape, records, rungs))


def test_a_second_stage_that_queues_is_named() -> None:
    times = np.random.default_rng(1).exponential(1e7, (2, N))
    shape, records = made(times, one(), {"delay": {"name": "other", "capacity": 2}})
    rungs = ladder(shape, records)
    assert errors(rungs)["M/M/1"] < -0.2
    assert abs(errors(rungs)["twin, service drawn anew"]) < 0.1
    assert any("queue at" in sentence for sentence in meaning(shape, records, rungs))


def test_a_batch_counts_as_the_share_of_each_request() -> None:
    shape, records = made(np.full((1, N), 4e7), one(batch={"max": 4, "timeout": "0 s"}), rate=70)
    found = bottleneck(shape, records)
    stage = records.stage(0)
    work = (stage.done - stage.started)[stage.batch == np.arange(N)].sum() / 1e9
    assert found.service_s.sum() == pytest.approx(work)


def test_several_workers_have_no_mg1() -> None:
    shape, records = made(np.random.default_rng(1).exponential(2e7, (1, N)), one(workers=2))
    rungs = {rung.model: rung for rung in ladder(shape, records)}
    assert rungs["M/G/1, measured service"].e2e is None
    assert "2 workers" in rungs["M/G/1, measured service"].note
    assert abs(rungs["M/M/2"].error["p99"]) < 0.08


def test_a_closed_load_has_no_ladder() -> None:
    shape = plan(one(), load={"arrivals": "closed", "concurrency": 2, "requests": 100})
    records = compiled.simulate(of_plan(shape), Demand((np.full((100, 1), 10**6),), concurrency=2))
    assert ladder(shape, records) == ()
    assert meaning(shape, records, ()) == ()
