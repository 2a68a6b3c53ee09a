"""The variants of a sweep, its folder, and what it makes of the runs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ScenarioError, UsageError
from harness.studies.sweep.document import Trials, VariantLatency
from harness.studies.sweep.figures import Repeat, latency
from harness.studies.sweep.folder import SweepFolder
from harness.studies.sweep.frontier import pareto
from harness.studies.sweep.result import result
from harness.studies.sweep.spec import plan_of
from harness.studies.sweep.table import write
from harness.studies.sweep.trials import Trial, shuffled_rounds
from tests import sweeps

ROOT = Path(__file__).parents[2]


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 2**32))
def test_every_round_runs_every_variant_once_in_an_order_that_the_seed_decides(variants, repeats, seed):
    order = shuffled_rounds(variants, repeats, seed)
    for repeat in range(1, repeats + 1):
        part = order[(repeat - 1) * variants : repeat * variants]
        assert sorted(part) == [Trial(variant, repeat) for variant in range(1, variants + 1)]
    assert order == shuffled_rounds(variants, repeats, seed)


@pytest.mark.parametrize(
    ("axes", "overrides", "says"),
    [
        (["stages.second.workers=1,0"], (), "--vary stages.second.workers=0: stages.second.workers: expected at least"),
        (["stages.third.workers=1,2"], (), "there is no stage 'third'"),
        (["load.rate=10/s,20"], (), "--vary load.rate=20: load.rate: expected a rate"),
        (["load.rate=10/s,20/s", "load.utilisation=0.5"], (), "rate and utilisation exclude one another"),
        (["on_full=block,shed"], ("load={arrivals: closed, requests: 5}",), "a closed load never meets"),
        (["stages.second.workers=1,2", "stages.second.workers=3"], (), "this key is varied twice"),
        (["stages.second.workers=1,2"], ("stages.second.workers=3",), "this key is varied, too"),
        (["load.rate=20/s,20.0/s"], (), "two variants are the same scenario: load.rate=20/s and load.rate=20.0/s"),
        (["load.seed=1..101/1", "load.requests=1..100/1"], (), "101 x 100 = 10,100 variants, and 10,000 are the most"),
    ],
)
def test_a_bad_variant_is_an_error_before_anything_begins(axes, overrides, says, tmp_path):
    with pytest.raises(UsageError) as error:
        sweeps.begin(tmp_path, *axes, overrides=overrides)
    assert says in str(error.value)
    assert not (tmp_path / "results").exists()


def test_variants_differ_in_their_values_and_repeats_in_their_arrivals(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=20/s,40/s", repeats=2)
    spec = sweep.spec
    plans = {trial: plan_of(spec, trial, sweep.scenario(trial.variant)) for trial in spec.order}
    assert len(plans) == 8
    for trial, plan in plans.items():
        values = spec.values(trial.variant)
        assert plan.stages[1].batch_max == values["stages.second.batch.max"]
        assert plan.load.rate == float(values["load.rate"].removesuffix("/s"))
        assert plan.load.seed == trial.repeat


def test_seeds_that_are_varied_are_left_as_they_are(tmp_path):
    sweep = sweeps.begin(tmp_path, "load.seed=5,9", repeats=2)
    seeds = [plan_of(sweep.spec, t, sweep.scenario(t.variant)).load.seed for t in sorted(sweep.spec.order)]
    assert seeds == [5, 5, 9, 9]


def test_file_names_count_from_the_scenario_s_folder_also_later(tmp_path, monkeypatch):
    (tmp_path / "times.txt").write_text("0.1\n0.2\n0.3\n")
    load = "arrivals: poisson, rate: 60/s, requests: 4000, warmup: 100"
    text = sweeps.LINE.replace(load, "arrivals: trace, file: times.txt, warmup: 0")
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2", text=text)
    monkeypatch.chdir("/")
    assert plan_of(sweep.spec, Trial(2, 1), sweep.scenario(2)).measured == 3
    (tmp_path / "times.txt").unlink()
    with pytest.raises(ScenarioError, match=r"times\.txt"):
        plan_of(sweep.spec, Trial(2, 1), sweep.scenario(2))


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(POINTS)
def test_the_front_is_what_no_other_point_beats(points):
    def beats(a, b):
        return a[0] >= b[0] and a[1] <= b[1] and a != b

    assert pareto(points) == [i for i, p in enumerate(points) if not any(beats(q, p) for q in points)]


def test_a_variant_with_one_run_has_that_run_s_figures(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=20/s,60/s"))
    for variant in result(sweep).variants:
        summary = sweep.run(sweep.index.entries[Trial(variant.number, 1)]).summary
        for key in ("p50", "p90", "p99"):
            assert variant.figure(key) == pytest.approx(summary.e2e[key])
        interval = variant.e2e_ms.p99_interval or (None, None)
        assert list(interval) == pytest.approx(summary.e2e.p99_interval)
        assert variant.verdict == summary.steady_state.verdict
        assert variant.throughput_rps == pytest.approx(summary.offered_rps)
        assert variant.utilisation == pytest.approx(summary.stages["second"].utilisation)


def test_repeats_are_taken_together_and_their_interval_knows_how_runs_differ(tmp_path):
    (one,) = result(sweeps.pretend(sweeps.begin(tmp_path, "load.rate=40/s"))).variants
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=40/s", repeats=4))
    (four,) = result(sweep).variants
    runs = [sweep.run(entry).summary.e2e.p99 for entry in sweep.index.entries.values()]
    assert four.completed_runs == 4
    assert min(runs) < four.e2e_ms.p99 < max(runs)
    width = np.std(runs, ddof=1) / 2 * 3.18244630528  # Student's t, 3 degrees of freedom
    lo, hi = four.e2e_ms.p99_interval
    assert lo <= np.mean(runs) - width + 1e-9 and hi >= np.mean(runs) + width - 1e-9
    lo, hi = one.e2e_ms.p99_interval
    assert lo < four.e2e_ms.p99 < hi


def short_runs(count):
    """Repeats of 300 requests at utilisation 0.8: far too few for an interval on p99 that allows for dependence."""
    repeats = []
    for rng in np.random.default_rng(3).spawn(count):
        steps = np.cumsum(rng.exponential(1.0, 300) - rng.exponential(1.25, 300))
        latency_ns = ((steps - np.minimum.accumulate(steps) + 1) * 1e6).astype(np.int64)
        repeats.append(Repeat({}, latency_ns, np.arange(300)))
    return repeats


def test_runs_too_short_for_an_interval_have_student_s_over_their_repeats():
    repeats = short_runs(5)
    each = np.array([np.sort(repeat.latency_ns)[296] for repeat in repeats]) / 1e6  # of rank 297, 99 % of 300
    half = each.std(ddof=1) / np.sqrt(5) * 2.7764451052  # Student's t, 4 degrees of freedom
    found = latency(repeats)
    assert found.p99_interval_from == "repeats"
    lo, hi = found.p99_interval
    assert lo == pytest.approx(max(0.0, min(each.mean() - half, found.p99)))
    assert hi == pytest.approx(max(each.mean() + half, found.p99))


def test_two_short_repeats_tell_too_little():
    found = latency(short_runs(2))
    assert (found.p99_interval, found.p99_interval_from) == (None, None)


def test_a_saturated_variant_has_a_throughput_and_no_latency(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=60/s,140/s"))
    found = result(sweep)
    steady, saturated = found.variants
    assert (steady.verdict, saturated.verdict) == ("steady", "saturated")
    assert saturated.e2e_ms == VariantLatency()
    assert saturated.throughput_rps == pytest.approx(100, rel=0.05)
    lo, hi = saturated.throughput_interval
    assert lo < 100 < hi
    assert found.front == (1,)
    row = found.rows[1]
    assert row["verdict"] == "saturated" and row["throughput_rps"] > 90
    assert row["e2e_ms.p99"] is None and row["stages.second.queue_wait_ms.p99"] is None
    assert row["stages.second.service_ms.p99"] > 0


def test_a_closed_load_s_throughput_has_an_interval(tmp_path):
    text = sweeps.LINE.replace("arrivals: poisson, rate: 60/s", "arrivals: closed, concurrency: 4")
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.concurrency=1,8", text=text))
    alone, eight = result(sweep).variants
    lo, hi = eight.throughput_interval
    assert eight.verdict == "closed"
    assert lo < 100 < hi and hi / lo < 1.15
    assert alone.throughput_interval[1] < lo


def test_the_table_has_a_row_a_trial_and_is_read_back_as_it_was_written(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=30/s,140/s", repeats=2)
    some = [t for t in sweep.spec.order if t != Trial(2, 2)]
    sweeps.pretend(sweep, some[:-1])
    sweep.record(some[-1], "failed", None, 'no, "really"\nnot', None)
    rows = list(result(sweep).rows)
    write(rows, sweep)
    assert pyarrow.parquet.read_table(sweep.path / "table.parquet").to_pylist() == rows
    with (sweep.path / "table.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [(int(row["cell"]), int(row["repeat"])) for row in read] == [(c, r) for c in (1, 2, 3, 4) for r in (1, 2)]
    assert [row["status"] for row in read].count("completed") == 6
    for written, found in zip(rows, read, strict=True):
        assert list(found) == list(written)
        for key, value in written.items():
            if isinstance(value, float):
                assert float(found[key]) == value
            elif not isinstance(value, bool):
                assert found[key] == ("" if value is None else str(value))
    failed = next(row for row in rows if row["status"] == "failed")
    assert failed["reason"] == 'no, "really"\nnot' and failed["e2e_ms.p99"] is None
    assert next(row for row in rows if row["status"] == "not run")["run"] is None


def test_a_table_holds_nothing_that_a_terminal_obeys(tmp_path):
    sweep = sweeps.begin(tmp_path, "load.rate=30/s,140/s")
    write([{"reason": "no \x1b[2J\udcff"}], sweep)
    assert (sweep.path / "table.csv").read_text() == '"reason"\n"no \\u001b[2J\\udcff"\n'
    assert pyarrow.parquet.read_table(sweep.path / "table.parquet").to_pylist() == [{"reason": "no \\u001b[2J\\udcff"}]


def test_a_machine_that_changed_is_noted(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2,3")
    machine = {
        "cpu": {"model": "one", "usable_cores": 2}, "memory": {"total_mb": 8000.0}, "platform": {"kernel": "6"},
        "python": {"version": "3.11"}, "git": None, "libraries": {"numpy": "2.0"},
    }  # fmt: skip
    for trial, model in zip(sorted(sweep.spec.order), ("one", "two", "two"), strict=True):
        saved = sweeps.run(sweep, sweep.spec, trial)
        (saved.path / "environment.json").write_text(
            json.dumps({**machine, "cpu": {"model": model, "usable_cores": 2}})
        )
        sweep.record(trial, "completed", saved, None, None)
    (note,) = result(sweep).notes
    assert note.startswith("The machine or its software changed during the sweep: cpu (one / two).")


def test_what_is_easily_misread_is_noted(tmp_path):
    text = sweeps.LINE.replace("rate: 60/s", "utilisation: 0.5").replace("capacity: 64", "capacity: 4")
    notes = result(sweeps.begin(tmp_path, "stages.second.batch.max=2,8", text=text)).notes
    assert "a share of each variant's own saturated rate" in notes[0]
    assert "second: batches are limited to the stage's capacity of 4" in notes[1]


def test_nothing_measured_is_a_result_too(tmp_path):
    found = result(sweeps.begin(tmp_path, "stages.second.workers=1,2"), simulate=True)
    assert found.trials == Trials(wanted=2, completed=0, failed=0, interrupted=0)
    assert [variant.verdict for variant in found.variants] == ["not run", "not run"]
    assert found.front == ()


def test_a_sweep_of_0_1_0_is_read_and_goes_on(tmp_path):
    """As that version left it; and with one of its two runs lost, that one is what is left to run."""
    (saved,) = (ROOT / "tests/saved/0.1.0/tiny").glob("sweep-*")
    shutil.copytree(saved, tmp_path / "sweep")
    sweep = SweepFolder(tmp_path / "sweep")
    spec, index = sweep.spec, sweep.index
    assert (spec.keys, spec.overrides, spec.repeats) == (["stages.infer.workers"], ("load.requests=200",), 1)
    assert index.pending(spec) == []
    assert {entry.status for entry in index.entries.values()} == {"completed"}
    found = result(sweep)
    assert [variant.values["stages.infer.workers"] for variant in found.variants] == [1, 2]
    assert found.variants[1].e2e_ms.p99 < found.variants[0].e2e_ms.p99
    (sweep.path / "index.json").write_text(json.dumps({"schema_version": 1, "machines": [], "entries": []}))
    shutil.rmtree(sweep.path / index.entries[Trial(2, 1)].run)
    sweep.take_in(spec)
    assert sweep.index.pending(spec) == [Trial(2, 1)]
