"""The figures of a run do not depend on how many blocks it is read in, nor on what is kept of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from unittest import mock

import numpy as np
import pytest

from harness.plan import Plan
from harness.records import DUE, OUTCOME, Outcome, RunRecords, load, save, sources
from harness.stats import attribution, passes, ranks
from harness.stats.attribution import Edge, attribute, attribute_blocks
from harness.stats.budget import blocked_spans, budget, held_up, splits
from harness.stats.passes import RunFigures, figures_of
from harness.stats.quantiles import summarise
from harness.stats.steady import steady_state
from harness.twin import Demand, compiled, of_plan
from tests.pipelines import plan

MS = 1_000_000
PIPELINES = {
    "batches": ({"delay": {"workers": 2}}, {"delay": {"batch": {"max": 4, "timeout": "3 ms"}}}),
    "blocking": ({"delay": {"capacity": 2}}, {"delay": {"capacity": 1}}),
    "shed": ({"delay": {"capacity": 3}}, {"delay": {"workers": 3}}),
}


def simulated(name: str, count: int = 900, rate: int = 900) -> tuple[Plan, RunRecords]:
    """A run of the twin with a warm-up, in which some requests failed and the last had not ended."""
    load = {"arrivals": "poisson", "rate": f"{rate}/s", "requests": count, "warmup": 50}
    planned = plan(*PIPELINES[name], load=load, on_full="shed" if name == "shed" else "block")
    rng = np.random.default_rng(len(name))
    services = tuple(
        np.maximum(rng.exponential(MS, (count + 50, stage.batch_max)), 1).astype(np.int64) for stage in planned.stages
    )
    due = np.cumsum(rng.exponential(1e9 / rate, count + 50)).astype(np.int64) + 1
    rows = compiled.simulate(of_plan(planned), Demand(services, due, warmup=50)).rows.copy()
    failed = [row for row in range(60, count, 97) if rows[row, OUTCOME] == Outcome.COMPLETED]
    rows[failed, OUTCOME] = Outcome.FAILED
    rows[-3:, OUTCOME] = Outcome.ABORTED
    return planned, RunRecords(planned.layout, rows, {row: f"reason {row % 2}" for row in failed})


@pytest.fixture(params=list(PIPELINES))
def records(request) -> RunRecords:
    return simulated(request.param)[1]


def in_small_blocks(rows: int = 64):
    return mock.patch.multiple(sources, BLOCK_ROWS=rows)


def plain(figures: RunFigures) -> str:
    """All figures, to the last digit."""
    found = {k: v for k, v in vars(figures).items() if k not in ("latencies", "responses", "state", "tail", "stages")}
    found |= {"state": asdict(figures.state), "tail": asdict(figures.tail)}
    found |= {"stages": {name: asdict(stage) for name, stage in figures.stages.items()}}
    return json.dumps(found, sort_keys=True)


def test_blocks_change_nothing(records):
    whole = plain(figures_of(records))
    with in_small_blocks(), mock.patch.multiple(ranks, KEPT=20, FEW=8), mock.patch.multiple(passes, KEPT=20):
        assert plain(figures_of(records)) == whole
        with mock.patch.multiple(attribution, MANY=0):
            assert plain(figures_of(records)) == whole


def test_a_file_has_the_figures_of_its_rows(records, tmp_path):
    with in_small_blocks():
        save(records, tmp_path / "r.parquet", {})
    with mock.patch.multiple(ranks, KEPT=20), mock.patch.multiple(passes, KEPT=20):
        assert plain(figures_of(load(tmp_path / "r.parquet", in_memory_bytes=0)[0])) == plain(figures_of(records))


def test_the_figures_are_those_of_all_columns_at_once(records):
    found, split, done = figures_of(records), budget(records), records.of_phase(0).with_outcome(Outcome.COMPLETED)
    assert found.e2e == summarise(split.e2e)
    assert found.response == summarise(done.completed - done.issued)
    assert found.lateness == summarise(done.issued - done.due)
    assert found.own_lateness == summarise(split.components["producer"])
    assert found.residual == summarise(split.components["residual"])
    for name, stage in found.stages.items():
        for component, figures in stage.components.items():
            assert figures == summarise(split.components[f"{name}.{component}"])
        columns = done.stage(name)
        sizes = np.unique(columns.batch, return_counts=True)[1]
        assert (stage.batches, stage.largest_batch) == (len(sizes), sizes.max())
        every = records.stage(name)
        served = np.flatnonzero(every.done)
        once = served[np.unique(every.batch[served], return_index=True)[1]]
        first, last = done.due.min(), done.due.max()
        busy = np.minimum(every.done[once], last) - np.maximum(every.started[once], first)
        assert stage.busy_ns == np.maximum(busy, 0).sum()
    assert found.state == steady_state(done.due, done.completed)
    assert found.tail == attribute(split, Edge(level=0.99))


def test_what_held_the_producer_up_is_the_same_in_blocks():
    records = simulated("blocking")[1]
    whole, spans = held_up(records), blocked_spans(records)
    with in_small_blocks(7):
        assert held_up(records).tolist() == whole.tolist()
        assert [times.tolist() for times in blocked_spans(records)] == [times.tolist() for times in spans]
    assert whole.any()


def test_due_times_that_go_far_back_are_followed():
    """Not what a producer does: the spans about the earliest due time were forgotten, and are read again."""
    records = simulated("blocking")[1]
    rows = records.rows.copy()
    rows[500:900:3, DUE] = rows[100:500:3, DUE]
    moved = RunRecords(records.layout, rows)
    whole = held_up(moved)
    with in_small_blocks(16):
        assert held_up(moved).tolist() == whole.tolist()


@pytest.mark.parametrize("levels", [(0.5, None), (0.1, 0.9)])
def test_a_band_that_is_not_kept_is_gone_over_again(records, levels):
    low, high = (Edge(level=level) for level in levels)
    split = budget(records)
    ordered = np.sort(split.e2e)
    with in_small_blocks(), mock.patch.multiple(attribution, MANY=10):
        found = attribute_blocks(
            lambda: (part for _, _, part in splits(records)),
            len(ordered),
            lambda wanted: {k: int(ordered[k - 1]) for k in wanted},
            low,
            high,
        )
    assert found == attribute(split, low, high)


def test_batches_that_lie_across_blocks_are_one():
    batches = passes._Batches()
    assert batches.add(np.array([0, 0, 2, 0, 2])).tolist() == [0, 2]
    assert batches.add(np.array([2, 5, 2, 5, 2])).tolist() == [1]
    assert (batches.count, batches.largest) == (3, 5)
