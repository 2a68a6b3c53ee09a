"""A sweep's grid, its folder, and what it makes of the runs; that of the command is in `test_sweep_command`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ScenarioError, UsageError
from harness.studies.sweep.figures import Repeat, latency
from harness.studies.sweep.folder import SweepFolder, find
from harness.studies.sweep.frontier import pareto
from harness.studies.sweep.grid import Axis, Trial, shuffled_rounds
from harness.studies.sweep.result import answer, write
from harness.studies.sweep.running import time_left_s
from harness.studies.sweep.spec import plan_of
from tests import sweeps

# The grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1,2,4", (1, 2, 4)),
        ("a.b=0.3, 1", (0.3, 1.0)),
        ("a.b=20/s,40/s", ("20/s", "40/s")),
        ("a.b=224,[224,320]", ("224", "[224,320]")),
        ("load={arrivals: closed, requests: 2},3", ("{arrivals: closed, requests: 2}", "3")),
        ("a='x,y',z", ("'x,y'", "z")),
    ],
)  # fmt: skip
def test_values_are_split_at_commas_outside_of_brackets(text, values):
    axis = Axis.parse(text)
    assert axis.typed == values
    assert axis.key == text.partition("=")[0]


@pytest.mark.parametrize("text", ["a", "a=", "=1,2", "a=1,,2", "a=1,2,1"])
def test_a_grid_that_makes_no_sense_is_refused(text):
    with pytest.raises(UsageError, match="--grid"):
        Axis.parse(text)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 2**32))
def test_every_round_runs_every_cell_once_in_an_order_that_the_seed_decides(cells, repeats, seed):
    order = shuffled_rounds(cells, repeats, seed)
    for repeat in range(1, repeats + 1):
        part = order[(repeat - 1) * cells : repeat * cells]
        assert sorted(part) == [Trial(cell, repeat) for cell in range(1, cells + 1)]
    assert order == shuffled_rounds(cells, repeats, seed)


@pytest.mark.parametrize(
    ("grid", "settings", "says"),
    [
        (["stages.second.workers=1,0"], (), "--grid stages.second.workers=0: stages.second.workers: expected at least"),
        (["stages.third.workers=1,2"], (), "there is no stage 'third'"),
        (["load.rate=10/s,20"], (), "--grid load.rate=20: load.rate: expected a rate"),
        (["load.rate=10/s,20/s", "load.utilisation=0.5"], (), "rate and utilisation exclude one another"),
        (["on_full=block,shed"], ("load={arrivals: closed, requests: 5}",), "a closed load never meets"),
        (["stages.second.workers=1,2", "stages.second.workers=3"], (), "two of them have this key"),
        (["stages.second.workers=1,2"], ("stages.second.workers=3",), "the grid sets this key too"),
        (["load.rate=20/s,20.0/s"], (), "two cells are the same scenario: load.rate=20/s and load.rate=20.0/s"),
        ([f"load.seed={','.join(map(str, range(10_001)))}"], (), "10,001 runs, and a sweep has 10,000 at most"),
    ],
)
def test_a_bad_cell_is_an_error_before_anything_begins(grid, settings, says, tmp_path):
    with pytest.raises(UsageError) as error:
        sweeps.begin(tmp_path, *grid, settings=settings)
    assert says in str(error.value)
    assert not (tmp_path / "results").exists()


def test_cells_differ_in_their_values_and_repeats_in_their_arrivals(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=20/s,40/s", repeats=2)
    spec = sweep.spec
    plans = {trial: plan_of(spec, trial, sweep.scenario(trial.cell)) for trial in spec.order}
    assert len(plans) == 8
    for trial, plan in plans.items():
        values = spec.values(trial.cell)
        assert plan.stages[1].batch_max == values["stages.second.batch.max"]
        assert plan.load.rate == float(values["load.rate"].removesuffix("/s"))
        assert plan.load.seed == trial.repeat


def test_seeds_of_the_grid_are_left_as_they_are(tmp_path):
    sweep = sweeps.begin(tmp_path, "load.seed=5,9", repeats=2)
    seeds = [plan_of(sweep.spec, t, sweep.scenario(t.cell)).load.seed for t in sorted(sweep.spec.order)]
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


# The folder


def test_what_was_asked_is_read_back_as_it_was(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=20/s,40/s", repeats=3)
    spec = sweep.spec
    assert SweepFolder(sweep.path).spec == spec
    assert spec.repeats == 3 and [axis.key for axis in spec.axes] == ["stages.second.batch.max", "load.rate"]
    assert find("last", tmp_path / "results").path == sweep.path
    assert find(str(sweep.path), tmp_path).path == sweep.path


def test_a_run_that_the_index_does_not_know_is_taken_in(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2", repeats=2)
    spec = sweep.spec
    known, unknown = Trial(1, 1), Trial(2, 2)
    sweeps.pretend(sweep, [known])
    saved = sweeps.run(sweep, spec, unknown)
    twice = sweeps.run(sweep, spec, known)
    (sweep.runs / "line" / ".unfinished-abc").mkdir()
    sweep.take_in(spec)
    entries = sweep.index.entries
    assert set(entries) == {known, unknown}
    assert sweep.run(entries[unknown]).path == saved.path
    assert sweep.run(entries[known]).path != twice.path
    assert not list(sweep.runs.rglob(".unfinished-*"))
    assert sweep.index.pending(spec) == [t for t in spec.order if t not in entries]


def test_only_one_process_runs_a_sweep(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2")
    with sweep.lock(), pytest.raises(UsageError, match="another process"), SweepFolder(sweep.path).lock():
        pass
    with sweep.lock():
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1}'])
@pytest.mark.parametrize("file", ["sweep.json", "index.json"])
def test_a_folder_that_is_no_sweep_is_an_error_that_names_it(file, text, tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2")
    (sweep.path / file).write_text(text)
    with pytest.raises(UsageError, match="not a sweep") as error:
        answer(sweep)
    assert str(sweep.path) in str(error.value)


def test_the_time_left_is_what_cells_took_before(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.workers=1,2,3", repeats=2)
    a, b, c = (Trial(cell, 2) for cell in (1, 2, 3))
    assert time_left_s([a, b, c], sweep.index.entries) is None
    for cell, seconds in ((1, 10.0), (2, 30.0)):
        trial = Trial(cell, 1)
        sweep.record(trial, "completed", sweeps.run(sweep, sweep.spec, trial), None, seconds)
    assert time_left_s([a, b, c], sweep.index.entries) == 10 + 30 + 20


# What it makes of the runs


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(POINTS)
def test_the_front_is_what_no_other_point_beats(points):
    def beats(a, b):
        return a[0] >= b[0] and a[1] <= b[1] and a != b

    assert pareto(points) == [i for i, p in enumerate(points) if not any(beats(q, p) for q in points)]


def test_a_cell_with_one_run_has_that_run_s_figures(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=20/s,60/s"))
    for cell in answer(sweep)["cells"]:
        summary = sweep.run(sweep.index.entries[Trial(cell["cell"], 1)]).summary
        for key in ("p50", "p90", "p99"):
            assert cell["e2e_ms"][key] == pytest.approx(summary["e2e_ms"][key])
        interval = cell["e2e_ms"]["p99_ci"] or [None, None]
        assert interval == pytest.approx(summary["e2e_ms"]["p99_ci"])
        assert cell["verdict"] == summary["steady_state"]["verdict"]
        assert cell["throughput_rps"] == pytest.approx(summary["offered_rps"])
        assert cell["utilisation"] == pytest.approx(summary["stages"]["second"]["utilisation"])


def test_repeats_are_taken_together_and_their_interval_knows_how_runs_differ(tmp_path):
    one = answer(sweeps.pretend(sweeps.begin(tmp_path, "load.rate=40/s")))
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=40/s", repeats=4))
    four = answer(sweep)
    runs = [sweep.run(entry).summary["e2e_ms"]["p99"] for entry in sweep.index.entries.values()]
    found = four["cells"][0]["e2e_ms"]
    assert four["cells"][0]["completed_runs"] == 4
    assert min(runs) < found["p99"] < max(runs)
    width = np.std(runs, ddof=1) / 2 * 3.18244630528  # Student's t, 3 degrees of freedom
    lo, hi = found["p99_ci"]
    assert lo <= np.mean(runs) - width + 1e-9 and hi >= np.mean(runs) + width - 1e-9
    assert one["cells"][0]["e2e_ms"]["p99_ci"][0] < found["p99"] < one["cells"][0]["e2e_ms"]["p99_ci"][1]


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
    assert found["p99_ci_from"] == "repeats"
    lo, hi = found["p99_ci"]
    assert lo == pytest.approx(max(0.0, min(each.mean() - half, found["p99"])))
    assert hi == pytest.approx(max(each.mean() + half, found["p99"]))


def test_two_short_repeats_tell_too_little():
    found = latency(short_runs(2))
    assert (found["p99_ci"], found["p99_ci_from"]) == (None, None)


def test_a_saturated_cell_has_a_throughput_and_no_latency(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.rate=60/s,140/s"))
    found = answer(sweep)
    steady, saturated = found["cells"]
    assert (steady["verdict"], saturated["verdict"]) == ("steady", "saturated")
    assert set(saturated["e2e_ms"].values()) == {None}
    assert saturated["throughput_rps"] == pytest.approx(100, rel=0.05)
    lo, hi = saturated["throughput_ci"]
    assert lo < 100 < hi
    assert found["front"] == [1]
    row = found["rows"][1]
    assert row["verdict"] == "saturated" and row["throughput_rps"] > 90
    assert row["e2e_ms.p99"] is None and row["stages.second.queue_wait_ms.p99"] is None
    assert row["stages.second.service_ms.p99"] > 0


def test_a_closed_load_s_throughput_has_an_interval(tmp_path):
    text = sweeps.LINE.replace("arrivals: poisson, rate: 60/s", "arrivals: closed, concurrency: 4")
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "load.concurrency=1,8", text=text))
    alone, eight = answer(sweep)["cells"]
    lo, hi = eight["throughput_ci"]
    assert eight["verdict"] == "closed"
    assert lo < 100 < hi and hi / lo < 1.15
    assert alone["throughput_ci"][1] < lo


def test_the_table_has_a_row_a_trial_and_is_read_back_as_it_was_written(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.batch.max=1,4", "load.rate=30/s,140/s", repeats=2)
    some = [t for t in sweep.spec.order if t != Trial(2, 2)]
    sweeps.pretend(sweep, some[:-1])
    sweep.record(some[-1], "failed", None, 'no, "really"\nnot', None)
    rows = answer(sweep)["rows"]
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
    (note,) = answer(sweep)["notes"]
    assert note.startswith("The machine or its software changed during the sweep: cpu (one / two).")


def test_what_is_easily_misread_is_noted(tmp_path):
    text = sweeps.LINE.replace("rate: 60/s", "utilisation: 0.5").replace("capacity: 64", "capacity: 4")
    notes = answer(sweeps.begin(tmp_path, "stages.second.batch.max=2,8", text=text))["notes"]
    assert "a share of each cell's own capacity" in notes[0]
    assert "second: batches are limited to the stage's capacity of 4" in notes[1]


# The twin beside it


@pytest.fixture(scope="module")
def predicted(tmp_path_factory) -> dict:  # type: ignore[type-arg]
    folder = tmp_path_factory.mktemp("predicted")
    long = ("load.requests=12000",)
    sweep = sweeps.begin(folder, "stages.second.batch.max=1,2,4", "load.rate=30/s,50/s,70/s", settings=long)
    return answer(sweeps.pretend(sweep), simulate=True)


def test_the_twin_learns_from_two_cells_and_predicts_the_others(predicted):
    twin = predicted["twin"]
    by_values = {tuple(cell["values"].values()): cell for cell in predicted["cells"]}
    learnt = [by_values[1, "30/s"]["cell"], by_values[4, "70/s"]["cell"]]
    assert twin["calibrated_on"] == learnt
    assert twin["score"]["cells"] == 7 and twin["score"]["median_apart"] < 0.1
    for cell in predicted["cells"]:
        found = twin["by_cell"][cell["cell"]]
        assert found["steady"]
        assert found["throughput_rps"] == pytest.approx(cell["throughput_rps"], rel=0.03)
        assert found["e2e_ms"]["p50"] == pytest.approx(cell["e2e_ms"]["p50"], rel=0.12)
        assert found["e2e_ms"]["p99"] == pytest.approx(cell["e2e_ms"]["p99"], rel=0.3)
    rows = predicted["rows"]
    assert [row["twin.calibrated"] for row in rows].count(True) == 2
    assert all(row["twin.e2e_ms.p99"] > 0 for row in rows)


def test_the_twin_learns_anew_where_service_itself_differs(tmp_path):
    sweep = sweeps.pretend(sweeps.begin(tmp_path, "stages.second.mean=5 ms,10 ms", "load.rate=30/s,50/s,70/s"))
    twin = answer(sweep, simulate=True)["twin"]
    assert twin["calibrated_on"] == [1, 3, 4, 6]
    fast, slow = (twin["by_cell"][cell]["stages"]["second"]["utilisation"] for cell in (2, 5))
    assert slow == pytest.approx(2 * fast, rel=0.1)


def test_cells_that_never_ran_are_predicted_and_a_group_of_which_none_ran_is_named(tmp_path):
    sweep = sweeps.begin(tmp_path, "stages.second.distribution=exponential,constant", "load.rate=30/s,50/s,140/s")
    sweeps.pretend(sweep, [Trial(1, 1)])
    twin = answer(sweep, simulate=True)["twin"]
    assert twin["by_cell"][2]["e2e_ms"]["p99"] > twin["by_cell"][1]["e2e_ms"]["p99"]
    assert not twin["by_cell"][3]["steady"] and twin["by_cell"][3]["capacity_rps"] == pytest.approx(100, rel=0.1)
    assert set(twin["by_cell"]) == {1, 2, 3}
    assert "no prediction for cells 4, 5, 6: none of them has completed" in twin["warnings"]


def test_nothing_measured_is_an_answer_too(tmp_path):
    found = answer(sweeps.begin(tmp_path, "stages.second.workers=1,2"), simulate=True)
    assert found["trials"] == {"wanted": 2, "completed": 0, "failed": 0, "interrupted": 0}
    assert [cell["verdict"] for cell in found["cells"]] == ["not run", "not run"]
    assert found["front"] == []


def test_a_folder_of_a_sweep_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def fails(*arguments: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(Exception, match="No space left"):
        sweeps.begin(tmp_path, "stages.second.workers=1,2")
    assert list((tmp_path / "results").rglob("*")) == [tmp_path / "results" / "line"]
