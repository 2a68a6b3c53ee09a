"""A trace opens in Perfetto without a complaint, and says of a run what its records say."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import strategies as st

from harness.records import Layout, Outcome, RunRecords, ready, sources
from harness.report.exports import trace
from harness.stats import timeline
from harness.stats.budget import blocked_spans, budget
from harness.twin import Demand, Pipeline, model
from tests import trace_importer
from tests.pipelines import run
from tests.properties import holds
from tests.trace_importer import ns
from tests.twin.random_pipelines import cases


def simulated(case: tuple[Pipeline, Demand]) -> RunRecords:
    return model.simulate(*case)


def imported(records: RunRecords, slowest: int = 3, **keys) -> trace_importer.Imported:
    events = trace.events(records, timeline.slowest(records, slowest), **keys)
    return trace_importer.load(json.loads(json.dumps(events)))


def service_slices(found: trace_importer.Imported, stage: int) -> list[dict]:
    mine = [event for slices in found.slices.values() for event in slices if event["pid"] == trace.FIRST_STAGE + stage]
    return [event for event in mine if event["cat"].startswith("service")]


@holds(20, 200, cases())
def test_perfetto_has_nothing_to_complain_of(case):
    records = simulated(case)
    assert imported(records).problems == []


@holds(20, 200, cases())
def test_a_flow_goes_from_the_issue_through_each_service(case):
    records = simulated(case)
    found = imported(records)
    done = np.flatnonzero(records.outcome == Outcome.COMPLETED)
    assert sorted(found.flows) == sorted(done + 1)
    for row in done:
        issue, *services = found.flows[row + 1]
        origin = int(records.due.min())
        assert ns(issue["ts"]) == records.issued[row] - origin
        assert [s["pid"] for s in services] == [trace.FIRST_STAGE + i for i in range(len(records.stages))]
        for stage, service in zip(records.stages, services, strict=True):
            assert ns(service["ts"]) == stage.started[row] - origin
            assert ns(service["dur"]) == stage.done[row] - stage.started[row]


@holds(20, 200, cases())
def test_every_service_is_one_slice(case):
    records = simulated(case)
    found = imported(records)
    for index, stage in enumerate(records.stages):
        served = stage.done > 0
        batches = np.unique(np.stack([stage.worker, stage.batch, stage.started, stage.done])[:, served], axis=1)
        slices = service_slices(found, index)
        assert len(slices) == batches.shape[1]
        assert sum(ns(event["dur"]) for event in slices) == (batches[3] - batches[2]).sum()


@holds(20, 200, cases())
def test_the_area_under_a_queue_depth_is_the_time_that_requests_waited(case):
    records = simulated(case)
    found = imported(records)
    for index, stage in enumerate(records.stages):
        depth = found.counters[trace.FIRST_STAGE + index, "queue depth requests"]
        assert min(count for _, count in depth) >= 0
        area = sum(count * (after - when) for (when, count), (after, _) in pairwise(depth))
        since = ready(records, index)
        assert depth[-1][1] == 0
        assert area == (stage.taken - since)[since > 0].sum()
        waits = found.waits[trace.FIRST_STAGE + index, f"waiting for {stage.name}"]
        assert sum(end - begin for begin, end in waits) == area


@holds(20, 200, cases())
def test_the_way_of_a_request_is_its_budget(case):
    records = simulated(case)
    split, blocked = budget(records), blocked_spans(records)
    for index, row in enumerate(np.flatnonzero(records.outcome == Outcome.COMPLETED)):
        spent: Counter[str] = Counter()
        now = int(records.due[row])
        for what, begin, end in timeline.passage(records, row, blocked):
            assert begin == now < end
            now = end
            stage, _, component = what.partition(" ")
            key = {"producer": "producer", "between stamps": "residual"}.get(what)
            spent[key or f"{stage}.{component.replace(' ', '_')}"] += end - begin
        assert now == records.completed[row]
        assert spent == Counter({name: int(part[index]) for name, part in split.components.items() if part[index]})


@holds(20, 200, cases())
def test_the_slowest_are_marked_in_order(case):
    records = simulated(case)
    found = imported(records, slowest=4)
    latency = np.sort((records.completed - records.due)[timeline.slowest(records, len(records))])[::-1]
    for rank, expected in enumerate(latency[:4], 1):
        whole, *parts = found.slices[trace.SLOWEST * trace.THREADS + rank]
        assert ns(whole["dur"]) == expected == sum(ns(part["dur"]) for part in parts)
        marks = [e for i in range(len(records.stages)) for e in service_slices(found, i)]
        mentioned = [e for e in marks if f"slowest {rank}" in e["name"].partition("(")[2].rstrip(")").split(", ")]
        assert len(mentioned) == len(records.stages)


@holds(20, 200, cases())
def test_a_part_of_a_run_is_as_well_formed_as_all_of_it(case):
    records = simulated(case)
    middle = int(np.median(records.due))
    shown = timeline.in_flight(records, middle, middle + 20)
    slowest = [row for row in timeline.slowest(records, 3) if shown[row]]
    found = trace_importer.load(trace.events(records, slowest, shown))
    assert found.problems == []
    assert sorted(found.flows) == sorted(np.flatnonzero(shown & (records.outcome == Outcome.COMPLETED)) + 1)


def test_a_batch_of_which_a_part_is_shown_begins_no_earlier_than_the_trace():
    """Its first member was taken before the one that is shown was due."""
    layout = Layout.tandem(["s0"])
    rows = np.zeros((2, layout.width), np.int64)
    stamps = [
        layout.columns[name] for name in ("due", "s0.offered", "s0.accepted", "s0.taken", "s0.started", "s0.done")
    ]
    rows[:, stamps] = [[1, 1, 1, 1, 6, 9], [5, 5, 5, 5, 6, 9]]
    rows[:, layout.columns["outcome"]] = Outcome.COMPLETED
    events = trace.events(RunRecords(layout, rows, {}), shown=np.array([False, True]))
    assert trace_importer.load(events).problems == []


def test_a_request_that_waited_behind_two_that_blocked_the_producer_shows_both_and_what_lay_between():
    """In time: due at 10, blocked from 20 to 50 and from 60 to 90, issued at 100."""
    layout = Layout.tandem(["s0"])
    rows = np.zeros((3, layout.width), np.int64)
    stamps = [
        layout.columns[name] for name in ("due", "s0.offered", "s0.accepted", "s0.taken", "s0.started", "s0.done")
    ]
    rows[:, stamps] = [[0, 20, 50, 50, 50, 51], [5, 60, 90, 90, 90, 91], [10, 100, 100, 103, 103, 110]]
    rows[:, layout.columns["outcome"]] = Outcome.COMPLETED
    records = RunRecords(layout, rows, {})
    assert list(timeline.passage(records, 2, blocked_spans(records))) == [
        ("producer", 10, 20), ("s0 blocked", 20, 50), ("producer", 50, 60), ("s0 blocked", 60, 90),
        ("producer", 90, 100), ("s0 queue wait", 100, 103), ("s0 service", 103, 110),
    ]  # fmt: skip
    rows[0, stamps[1:]] = rows[0, stamps[1:]] * 1000
    rows[1, stamps[1:]] = rows[1, stamps[1:]] * 1000 - 9999
    rows[2, stamps[1:]] = rows[2, stamps[1:]] * 1000
    passed = list(timeline.passage(records, 2, blocked_spans(records)))
    assert passed[:3] == [("producer", 10, 20_000), ("s0 blocked", 20_000, 80_001), ("producer", 80_001, 100_000)]


def test_around_the_slowest_is_bounded():
    records = run_of_null()
    for count in (1, 2, 5):
        chosen = timeline.slowest(records, count)
        mask = timeline.around(records, chosen, 20)
        assert mask[chosen].all()
        assert mask.sum() <= 20


def test_in_flight_is_from_due_to_the_last_stamp():
    records = run_of_null()
    begin, end = int(records.due[10]), int(records.completed[10])
    expected = (records.due <= end) & (records.completed >= begin)
    assert (timeline.in_flight(records, begin, end) == expected).all()
    assert timeline.in_flight(records, 0, int(records.due.min()) - 1).sum() == 0


def test_depth_is_constant_between_changes():
    times, counts = timeline.depth(np.array([5, 1, 1, 0, 9]), np.array([7, 4, 5, 3, 0]))
    assert times.tolist() == [1, 4, 7, 9]  # at 5 one comes and one goes
    assert counts.tolist() == [2, 1, 0, 1]


def run_of_null() -> RunRecords:
    return run({"null": {}}, load={"arrivals": "closed", "requests": 60}, executor="asyncio").records


@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_a_real_run_with_batches_workers_and_a_full_queue(executor):
    records = run(
        {"delay": {"mean": "1 ms", "workers": 2, "capacity": 4}},
        {"delay": {"mean": "2 ms", "capacity": 3, "batch": {"max": 3, "timeout": "1 ms"}}},
        {"null": {"capacity": 1}},
        load={"arrivals": "poisson", "rate": "900/s", "requests": 150, "warmup": 10},
        executor=executor,
    ).records
    found = imported(records)
    assert found.problems == []
    assert len(found.flows) == 160
    assert found.processes[trace.FIRST_STAGE + 1] == "stage 2: s1"
    assert {"worker 0", "worker 1"} <= set(found.threads.values())
    names = [event["name"] for slices in found.slices.values() for event in slices]
    assert "warm-up 9" in names
    assert any(name.startswith("request 149") for name in names)


def test_dropped_requests_are_instants_of_the_producer():
    records = run(
        {"delay": {"mean": "5 ms", "capacity": 1}},
        load={"arrivals": "constant", "rate": "1000/s", "requests": 40},
        executor="asyncio",
        on_full="shed",
    ).records
    dropped = np.flatnonzero(records.outcome == Outcome.DROPPED)
    events = trace.events(records)
    instants = [event for event in events if event["ph"] == "i"]
    assert [event["name"] for event in instants] == [f"request {row} dropped" for row in dropped]
    assert {event["id"] for event in events if event["ph"] == "s"}.isdisjoint((dropped + 1).tolist())
    assert trace_importer.load(events).problems == []


@holds(30, 200, cases(), st.integers(0, 9), st.integers(1, 12))
def test_what_is_read_of_a_long_run_says_the_same(case, place, count):
    records = simulated(case)
    middle = int(np.quantile(records.due, place / 10))
    shown = timeline.in_flight(records, middle, middle + 20 * count)
    slowest = [row for row in timeline.slowest(records, len(records)) if shown[row]][:3]
    whole = trace.events(records, slowest, shown)
    with mock.patch.object(trace, "SHORT", 0), mock.patch.object(sources, "BLOCK_ROWS", 7):
        part = trace.events(records, slowest, shown)
    assert [e for e in part if e["ph"] != "M"] == [e for e in whole if e["ph"] != "M"]
    assert all(e in whole for e in part)


@holds(30, 200, cases(), st.integers(0, 9))
def test_what_was_in_flight_meanwhile(case, place):
    records = simulated(case)
    shown = np.zeros(len(records), np.bool_)
    shown[:: place + 1] = True
    due, ended = records.due, timeline.ended(records)
    due_shown, ended_shown = due[shown], ended[shown]
    expected = [
        bool(((due_shown <= end) & (ended_shown >= begin)).any()) for begin, end in zip(due, ended, strict=True)
    ]
    with mock.patch.object(sources, "BLOCK_ROWS", 5):
        assert timeline.meanwhile(records, shown).tolist() == expected
