"""Checks that the tool is right on this machine: real runs with known results, and the twin against theory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness import clock, theory
from harness.executors.base import Execution
from harness.executors.session import execute
from harness.interruption import Interrupted
from harness.plan import Plan, resolve
from harness.records import Phase, RunRecords
from harness.scenario import Scenario
from harness.stats.budget import PRODUCER, budget
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.theory import NoSteadyState, Prediction
from harness.twin import Demand, compiled, of_plan
from harness.twin.replay import replay

CONFIDENCE = 0.999  # of each interval: there are about twenty, and all of them should hold
SERVICE_MS = 3.0
SHIFT_MS = 0.3  # what the hop to each stage may add to a latency
NOISY_STEAL, NOISY_LATENESS = 0.02, 0.1  # shares: of CPU time; of the mean service time, at p99

Verdict = Literal["pass", "fail", "noise"]


@dataclass(frozen=True)
class Line:
    """One expectation and its outcome. unit: of the figures. verdict: noise is a failure that noise explains."""

    test: str
    expected: float
    measured: float
    lo: float
    hi: float
    unit: str
    verdict: Verdict
    why: str = ""


def selftest(requests: int = 1500) -> Iterator[Line]:
    """Run all checks; yield each line as it is known. requests: of each pipeline of delays. Raises RunFailed."""
    yield from _floor()
    for utilisation in (0.3, 0.6):
        rate = utilisation / SERVICE_MS * 1e3
        yield from _queue(
            f"M/M/1 at {utilisation:.0%}", [_delay("exponential")], theory.mm1(rate, SERVICE_MS / 1e3), rate, requests
        )
        yield from _queue(
            f"M/D/1 at {utilisation:.0%}", [_delay("constant")], theory.md1(rate, SERVICE_MS / 1e3), rate, requests
        )
    rate = 0.5 / SERVICE_MS * 1e3
    service_s = SERVICE_MS / 1e3
    tandem = [_delay("exponential"), _delay("exponential")]
    yield from _queue("tandem of two M/M/1", tandem, theory.tandem(rate, [service_s] * 2), rate, requests)
    two = [_delay("exponential", workers=2)]
    yield from _queue("M/M/2 at 50%", two, theory.mmc(2 * rate, service_s, 2), 2 * rate, requests)
    yield from _stall()
    yield from _twin()


def _delay(distribution: str, **options: Any) -> dict[str, Any]:
    return {"kind": "delay", "distribution": distribution, "mean": f"{SERVICE_MS} ms", "capacity": 4096, **options}


def _plan(name: str, stages: list[dict[str, Any]], load: dict[str, Any]) -> Plan:
    named = [{"name": f"s{index}", **stage} for index, stage in enumerate(stages)]
    return resolve(Scenario.model_validate({"name": name, "stages": named, "load": {"warmup": 100, **load}}))


def _run(plan: Plan) -> tuple[Execution, RunRecords]:
    execution = execute(plan)
    if execution.status == "interrupted":
        raise Interrupted(execution.signal)
    if execution.error is not None:
        raise execution.error
    return execution, execution.records.of_phase(Phase.MEASURED)


def _lateness_ns(execution: Execution) -> float:
    """p99 of the producer's own lateness, ns."""
    return quantile(budget(execution.records).components[PRODUCER], 0.99)


def _noise(execution: Execution) -> str:
    """What disturbed a run enough to explain a deviation; empty when nothing did."""
    steal = execution.host.get("steal") or 0.0
    late_ms = _lateness_ns(execution) / 1e6
    found = []
    if steal > NOISY_STEAL:
        found.append(f"steal {steal:.1%}")
    if late_ms > NOISY_LATENESS * SERVICE_MS:
        found.append(f"producer late by {late_ms:.2f} ms at p99")
    return ", ".join(found)


# ------------------------------------------------------------------ the parts


def _floor() -> Iterator[Line]:
    """What the tool itself costs: a clock read, a hop, the producer's lateness."""
    read_us = _timed(lambda: [clock.now_ns() for _ in range(10_000)]) / 10_000 * 1e6
    yield Line("clock, a read", 0.1, read_us, 0.0, 2.0, "us", "pass" if read_us < 2.0 else "fail")
    null = {"kind": "null", "payload": 602_112, "capacity": 16}
    execution, records = _run(_plan("null", [null] * 3, {"arrivals": "constant", "rate": "500/s", "requests": 1500}))
    noise = _noise(execution)
    hop_us = quantile(records.completed - records.due, 0.5) / 1e3 / 3
    yield Line("null pipeline, a hop, p50", 30, hop_us, 0, 200, "us", _bound(hop_us < 200, noise), noise)
    late_us = _lateness_ns(execution) / 1e3
    yield Line("producer's lateness, p99", 0, late_us, 0, 300, "us", _bound(late_us < 300, noise), noise)


def _bound(held: bool, noise: str) -> Verdict:
    return "pass" if held else "noise" if noise else "fail"


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _queue(
    name: str, stages: list[dict[str, Any]], exact: Prediction | NoSteadyState, rate: float, requests: int
) -> Iterator[Line]:
    """A real pipeline of delays: its sojourn times against theory, and against their replay in the twin."""
    assert isinstance(exact, Prediction)
    plan = _plan("selftest", stages, {"arrivals": "poisson", "rate": f"{rate}/s", "requests": requests})
    execution, records = _run(plan)
    noise = _noise(execution)
    sojourn = records.completed - records.due
    for level, q in (("p50", 0.5), ("p90", 0.9)):
        interval = dependent(sojourn, q, CONFIDENCE)
        if interval.lo is None or interval.hi is None:
            continue  # too few requests to say anything about this quantile
        shifted = interval.lo / 1e6 - SHIFT_MS * len(stages)
        expected, measured = exact.sojourn.quantile_s(q) * 1e3, quantile(sojourn, q) / 1e6
        held = shifted <= expected <= interval.hi / 1e6
        verdict = _bound(held, noise)
        yield Line(f"{name}, {level}", expected, measured, shifted, interval.hi / 1e6, "ms", verdict, noise)
    again = replay(plan, execution.records)
    ratio = quantile(again.replayed_ns, 0.9) / quantile(again.measured_ns, 0.9)
    yield Line(f"{name}, replayed p90", 1.0, ratio, 0.95, 1.05, "ratio", _bound(0.95 <= ratio <= 1.05, noise), noise)


def _stall() -> Iterator[Line]:
    """A planted stall of 0.5 s: at 200/s it must delay about a hundred requests, not one."""
    stage = {"kind": "delay", "distribution": "constant", "mean": "1 ms", "capacity": 4096}
    stage["stall"] = {"request": 300, "duration": "500 ms"}
    execution, records = _run(_plan("stall", [stage], {"arrivals": "constant", "rate": "200/s", "requests": 1000}))
    delayed = int(((records.completed - records.due) > 50e6).sum())
    # 500 ms at 200/s are 100 requests; the backlog shrinks by 4 ms a request, and those within 50 ms do not count.
    noise = _noise(execution)
    verdict = _bound(103 <= delayed <= 123, noise)
    yield Line("stall of 0.5 s, requests held 50 ms", 113, delayed, 103, 123, "", verdict, noise)


def _twin() -> Iterator[Line]:
    """The twin's p99 of a million requests against theory."""
    count = 1_000_000
    rng = np.random.default_rng(1)
    for utilisation in (0.5, 0.8):
        rate = utilisation / SERVICE_MS * 1e3
        plan = _plan("twin", [_delay("exponential")], {"arrivals": "poisson", "rate": f"{rate}/s", "requests": 1})
        due = np.cumsum(rng.exponential(1e9 / rate, count)).astype(np.int64)
        service = np.maximum(rng.exponential(SERVICE_MS * 1e6, (count, 1)), 1).astype(np.int64)
        twin = compiled.simulate(of_plan(plan), Demand((service,), due))
        exact = theory.mm1(rate, SERVICE_MS / 1e3)
        assert isinstance(exact, Prediction)
        sojourn = twin.completed - twin.due
        interval = dependent(sojourn, 0.99, CONFIDENCE)
        assert interval.lo is not None and interval.hi is not None
        expected, measured = exact.sojourn.quantile_s(0.99) * 1e3, quantile(sojourn, 0.99) / 1e6
        lo, hi = interval.lo / 1e6, interval.hi / 1e6
        yield Line(
            f"twin, M/M/1 at {utilisation:.0%}, p99", expected, measured, lo, hi, "ms", _bound(lo <= expected <= hi, "")
        )
