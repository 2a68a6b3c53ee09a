"""The compiled model is the simpy model: every stamp of every request, to the nanosecond."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from harness.records import Outcome, RunRecords
from harness.twin import Demand, Pipeline, compiled, model
from harness.twin.pipeline import as_records, blank_rows
from tests.properties import holds
from tests.twin.random_pipelines import cases


@holds(80, 400, cases())
def test_events_agree_with_simpy(case: tuple[Pipeline, Demand]) -> None:
    pipeline, demand = case
    rows = blank_rows(pipeline, demand)
    compiled.by_events(pipeline, demand, rows)
    assert_same(model.simulate(pipeline, demand), as_records(pipeline, demand, rows))


@holds(80, 400, cases(recursive=True))
def test_the_recursion_agrees_with_simpy(case: tuple[Pipeline, Demand]) -> None:
    pipeline, demand = case
    rows = blank_rows(pipeline, demand)
    compiled.by_recursion(pipeline, demand, rows)
    assert_same(model.simulate(pipeline, demand), as_records(pipeline, demand, rows))


@holds(80, 400, cases())
def test_every_request_ends_whatever_the_shape(case: tuple[Pipeline, Demand]) -> None:
    """No deadlock, capacities down to 1; only a full first channel that sheds loses requests."""
    pipeline, demand = case
    records = compiled.simulate(pipeline, demand)
    assert set(np.unique(records.outcome)) <= {Outcome.COMPLETED, Outcome.DROPPED}
    if not pipeline.shed:
        assert np.all(records.outcome == Outcome.COMPLETED)
    if not demand.stop_ns:
        assert len(records) == len(demand)


@holds(40, 200, cases())
def test_a_channel_never_holds_more_than_its_capacity(case: tuple[Pipeline, Demand]) -> None:
    pipeline, demand = case
    records = compiled.simulate(pipeline, demand).with_outcome(Outcome.COMPLETED)
    for stage, station in zip(records.stages, pipeline.stations, strict=True):
        times = np.concatenate([stage.done, stage.accepted])
        change = np.repeat([-1, 1], len(records))
        held = np.cumsum(change[np.lexsort((change, times))])
        assert held.max(initial=0) <= station.capacity


@holds(40, 200, cases(recursive=True), st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_pieces_are_the_whole(case: tuple[Pipeline, Demand], lengths: list[int]) -> None:
    pipeline, demand = case
    assert demand.due_ns is not None
    pieces, first = [], 0
    for count in [*lengths, len(demand)]:
        part = slice(first, first + count)
        service = tuple(times[part] for times in demand.service_ns)
        warmup = max(0, demand.warmup - first)
        pieces.append(Demand(service, demand.due_ns[part], warmup=warmup, shares=demand.shares))
        first += count
    found = np.concatenate(list(compiled.in_pieces(pipeline, pieces)))
    whole = compiled.simulate(pipeline, demand)
    assert_same(whole, RunRecords(whole.layout, found))


def assert_same(expected, found) -> None:  # type: ignore[no-untyped-def]
    columns = list(expected.layout.columns)
    assert expected.rows.shape == found.rows.shape
    different = np.argwhere(expected.rows != found.rows)
    assert not len(different), [
        (int(r), columns[c], int(expected.rows[r, c]), int(found.rows[r, c])) for r, c in different[:5]
    ]
