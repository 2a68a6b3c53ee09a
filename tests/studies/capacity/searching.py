"""Searches for the capacity with the twin as the executor, where the answer is exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.plan import Plan, offered_rate, resolve
from harness.records import Outcome, RunRecords
from harness.scenario import combinations, parse_axes, with_overrides
from harness.stats.summary import summarise_run
from harness.studies.capacity import Goal, Limit, RunResult, limits_of, search
from harness.studies.capacity.curve import Size
from harness.studies.capacity.document import HighestRate
from harness.studies.capacity.evidence import Evidence, weigh
from harness.studies.capacity.result import conclude
from harness.studies.capacity.state import State
from harness.studies.predict.forecast import saturated
from harness.studies.variants import Variant, label_of
from harness.twin import Demand, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.services import GivenServices
from tests.facts import facts
from tests.pipelines import scenario

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


def weigh_of(planned: Plan, records: RunRecords, *limits: Limit) -> Evidence:
    summary = summarise_run(planned, records, facts(planned))
    given = limits or (Limit("p99", 100_000_000),)
    return weigh(planned, records, summary, given, replace(SIZE, copies=8), settings=(), path="", purpose="lower edge")


def failing(records: RunRecords, rows: Sequence[int]) -> RunRecords:
    """The same run, in which the last stage refused these requests."""
    found = records.rows.copy()
    found[rows, records.layout.columns["outcome"]] = Outcome.FAILED
    return RunRecords(records.layout, found, dict.fromkeys(rows, "refused"))
