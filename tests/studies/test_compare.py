"""`harness compare` on scenarios: what it finds, what it refuses, how it ends, what it saves, what people see.

Planted differences are as large as a service itself, and A/A asks for 99.9 % confidence, so that nothing here depends
on how busy the machine is.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from rich.console import Console

from harness import records, store
from harness.commands.compare import _variants as variants_of
from harness.errors import ScenarioError, UsageError
from harness.records import Phase
from harness.report.plots import compare as compare_plot
from harness.report.screens import compare as report
from harness.studies.compare import folder
from harness.studies.compare.document import ComparisonDocument
from harness.studies.compare.equivalence import Tolerance, examine
from harness.studies.compare.sides import plan_side, prepare
from harness.studies.variants import Variant
from tests.command import harness

HARNESS = [sys.executable, "-m", "harness"]
DELAY = """\
name: pair
load: {arrivals: constant, rate: 100/s, requests: 80, warmup: 3, seed: 3}
stages:
  - delay: {name: work, distribution: constant, mean: 1 ms}
"""
IMAGES = """\
name: images
executor: asyncio
source: {images: synthetic, height: 60, width: 80, count: 3}
load: {arrivals: closed, requests: 12, warmup: 0}
stages:
  - preprocess: {backend: native, resize: 40, crop: 32}
"""


def compare(cwd: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    done = harness("compare", *arguments, "--json", "-", cwd=cwd)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def variants(file: Path, own: str, *common: str) -> list[Variant]:
    """The scenario as it stands, and with a setting of its own."""
    return [plan_side(file, common, each, "--b") for each in ((), (own,))]


def verdicts(pair: dict[str, Any]) -> dict[str, str]:
    return {effect["metric"]: effect["verdict"] for effect in pair["effects"]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pair.yaml").write_text(DELAY)
    (tmp_path / "images.yaml").write_text(IMAGES)
    return tmp_path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A service of 1 ms against one of 6 ms, in processes; saved in the folder that is returned."""
    place = tmp_path_factory.mktemp("planted")
    (place / "pair.yaml").write_text(DELAY)
    limits = ("--fail-if", "e2e.p50 > +50%", "--fail-if", "stages.work.service.mean > 1 s")
    return place, compare(place, "pair.yaml", "--b", "stages.work.mean=6ms", "--blocks", 8, *limits, code=3)


# What it finds


def test_a_planted_slowdown_is_found_where_it_is(planted: tuple[Path, dict[str, Any]]) -> None:
    (pair,) = planted[1]["comparisons"]
    found = verdicts(pair)
    assert found["stages.work.service.mean"] == found["e2e.p50"] == "slower"
    service = next(e for e in pair["effects"] if e["metric"] == "stages.work.service.mean")
    assert 3 < service["ratio"] < 6.5
    assert service["difference"] == pytest.approx(5, rel=0.2)
    low, high = service["ratio_interval"]
    assert low <= service["ratio"] <= high
    assert planted[1]["reading"][0].startswith("b (work.mean=6ms) is slower: p")
    assert "is in work: its mean service went from 1" in planted[1]["reading"][1]


def test_a_limit_that_is_broken_ends_it_with_3_and_one_that_is_kept_does_not(
    planted: tuple[Path, dict[str, Any]],
) -> None:
    assert [judgement["outcome"] for judgement in planted[1]["gate"]] == ["failed", "kept"]


def test_the_same_against_itself_is_not_called_different(place: Path) -> None:
    settings = ("--set", "load.rate=400/s", "--requests", 160, "--blocks", 12, "--confidence", "99.9%")
    document = compare(place, "pair.yaml", "pair.yaml", *settings)
    (pair,) = document["comparisons"]
    assert not {"faster", "slower"} & set(verdicts(pair).values())
    assert [side["label"] for side in document["sides"]] == ["pair", "pair"]


@pytest.mark.slow
def test_three_sides_are_each_held_against_the_first(place: Path) -> None:
    settings = ("--set", "executor=asyncio", "--set", "load.rate=190/s", "--requests", 100)
    document = compare(place, "pair.yaml", *settings, "--vary", "stages.work.mean=1ms,3ms,4ms")
    assert [(pair["a"], pair["b"]) for pair in document["comparisons"]] == [("a", "b"), ("a", "c")]
    assert all(verdicts(pair)["stages.work.service.mean"] == "slower" for pair in document["comparisons"])
    assert document["order"][:6] == ["abc", "cba", "bca", "acb", "cab", "bac"]
    assert Counter(turns[0] for turns in document["order"]) == {"a": 4, "b": 4, "c": 4}
    assert document["blocks"] == {"asked": 12, "complete": 12, "requests": 9, "warmup": 3}
    assert {path.name for path in Path(place, document["saved"]).iterdir()} == {"comparison.json", "a", "b", "c"}


# What it saves


def test_all_raw_records_are_saved_and_tell_the_same_again(planted: tuple[Path, dict[str, Any]]) -> None:
    place, document = planted
    saved = place / document["saved"]
    assert saved.parent == place / "results" / "pair"
    means = []
    for side in ("a", "b"):
        rows, _ = records.load(saved / side / store.RECORDS)
        assert len(rows) == 8 * (3 + 10)
        measured = rows.of_phase(Phase.MEASURED)
        stage = measured.stages[0]
        means.append(float((stage.done - stage.started).mean()) / 1e6)
    service = next(e for e in document["comparisons"][0]["effects"] if e["metric"] == "stages.work.service.mean")
    assert means == pytest.approx([service["a"], service["b"]])
    turns = document["turns"]
    assert [turn["side"] for turn in turns] == [side for round_ in document["order"] for side in round_]


def test_the_resolved_scenario_of_a_side_runs_alone(planted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    place, document = planted
    resolved = place / document["saved"] / "b" / "resolved.yaml"
    done = harness("run", resolved, "--json", "-", "--out", tmp_path, "--set", "load.rate=2000/s", cwd=place)
    summary = json.loads(done.stdout)
    assert summary["requests"]["completed"] == 80
    assert summary["stages"]["work"]["service_ms"]["min"] >= 6


def test_a_saved_comparison_is_shown_again(planted: tuple[Path, dict[str, Any]]) -> None:
    place, document = planted
    assert compare(place, document["saved"]) == document
    done = harness("compare", document["saved"], cwd=place)
    assert done.returncode == 0
    assert "b against a" in done.stdout
    assert "There are no runs" in harness("runs", cwd=place).stdout, "a comparison is no run"


def test_what_is_no_saved_comparison_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", "{}", '{"schema_version": 1}'):
        (tmp_path / folder.FILE).write_text(text)
        with pytest.raises(UsageError, match="not a saved comparison"):
            folder.load(tmp_path)


# Equivalence before speed


def test_the_same_images_through_the_same_stages_come_out_equal(place: Path) -> None:
    settings = ("--set", "executor=asyncio", "--blocks", 2)
    (pair,) = compare(place, "images.yaml", "images.yaml", *settings)["sameness"]["pairs"]
    assert pair["tensor"] == {"images": 3, "one_side_only": 0, "largest": 0.0, "mean": 0.0}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("stages.preprocess.mean=[0.5, 0.5, 0.5]", "the preprocessed tensors differ by up to"),
        ("stages.preprocess.crop=24", "the preprocessed tensors have different shapes, 3x32x32 and 3x24x24"),
    ],
)
def test_sides_that_answer_differently_are_not_measured(place: Path, setting: str, says: str) -> None:
    done = harness("compare", "images.yaml", "--b", setting, cwd=place)
    assert done.returncode == 3
    assert says in " ".join(done.stdout.split())
    assert "Nothing was measured" in done.stdout
    assert not (place / "results").exists()


def test_a_tolerance_lets_a_known_difference_pass(place: Path) -> None:
    other = ("--b", "stages.preprocess.mean=[0.5, 0.5, 0.5]", "--blocks", 2)
    document = compare(place, "images.yaml", *other, "--tolerance", "tensor=1")
    (pair,) = document["sameness"]["pairs"]
    assert 0.1 < pair["tensor"]["mean"] <= pair["tensor"]["largest"] < 1
    assert document["sameness"]["met"] and document["blocks"]["complete"] == 2


@pytest.mark.study
def test_logits_and_answers_of_a_model_are_compared(place: Path) -> None:
    (place / "model.yaml").write_text(
        IMAGES.replace("images\n", "model\n", 1) + "  - inference: {model: squeezenet1_1, classes: 10}\n"
    )
    asked = variants(place / "model.yaml", "stages.preprocess.backend=torchvision")
    (pair,) = examine(prepare(asked, blocks=2), Tolerance(), 2).pairs
    assert pair.tensor is not None and pair.logits is not None and pair.top1 is not None
    assert 0 < (pair.tensor.largest or 0) <= 0.05, "uint8 rounds, and no more"
    assert (pair.logits.largest or 0) > 0
    assert pair.top1.of == 2
    assert not pair.misses


def test_stages_without_images_have_nothing_to_be_the_same(planted: tuple[Path, dict[str, Any]]) -> None:
    assert "skipped" in planted[1]["sameness"]


def test_tolerances_are_read_as_they_are_written() -> None:
    assert Tolerance.parse([]) == Tolerance(0.05, None, None)
    assert Tolerance.parse(["none"]) == Tolerance(None, None, None)
    assert Tolerance.parse(["none", "top1=0.9"]) == Tolerance(None, None, 0.9)
    for text in ("tensor", "tensor=x", "tensor=-1", "pixels=1", "logits=nan"):
        with pytest.raises(UsageError, match="expected tensor=X"):
            Tolerance.parse([text])


# How it ends


@pytest.fixture
def endless(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A comparison in many short blocks."""
    process = subprocess.Popen(
        [*HARNESS, "compare", "pair.yaml", "--b", "stages.work.mean=6ms", "--blocks", "1000", "--requests", "10000"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_for_block(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        match = re.search(rb"block (\d+) of", line)
        if match and int(match[1]) >= number:
            return
    raise AssertionError(f"it never came to block {number}")


def gone(children: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(children, timeout=3)
    assert not [c for c in left if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_ctrl_c_saves_the_complete_blocks(place: Path, endless: subprocess.Popen[bytes]) -> None:
    wait_for_block(endless, 8)
    children = psutil.Process(endless.pid).children(recursive=True)
    os.killpg(endless.pid, signal.SIGINT)
    output, errors = endless.communicate(timeout=10)
    assert endless.returncode == 130
    assert b"Traceback" not in errors
    gone(children)
    (saved,) = (place / "results" / "pair").iterdir()
    document = folder.load(saved)
    assert document.status == "interrupted"
    assert document.blocks is not None and 7 <= document.blocks.complete < 1000
    (pair,) = document.comparisons
    assert pair.blocks == document.blocks.complete
    assert {e.metric: e.verdict for e in pair.effects}["stages.work.service.mean"] == "slower"
    assert b"complete of 1000" in output


@pytest.mark.slow
def test_a_worker_of_one_side_that_is_killed_ends_it_and_what_was_measured_is_saved(
    place: Path, endless: subprocess.Popen[bytes]
) -> None:
    wait_for_block(endless, 8)
    children = psutil.Process(endless.pid).children(recursive=True)
    max(children, key=lambda child: (child.create_time(), child.pid)).kill()
    _, errors = endless.communicate(timeout=10)
    assert endless.returncode == 1
    assert b"error: side b: stage work, process work-0" in errors
    assert b"Traceback" not in errors
    gone(children)
    (saved,) = (place / "results" / "pair").iterdir()
    document = folder.load(saved)
    assert document.status == "failed"
    assert document.blocks is not None and document.blocks.complete >= 7
    assert "SIGKILL" in (saved / "failure.txt").read_text()
    assert len(records.load(saved / "a" / store.RECORDS)[0]) >= 7 * 13


@pytest.mark.slow
def test_results_that_cannot_be_saved_are_saved_elsewhere(place: Path) -> None:
    (place / "results").mkdir()
    (place / "results" / "images").write_text("a file")
    (place / "tmp").mkdir()
    done = subprocess.run(
        [*HARNESS, "compare", "images.yaml", "images.yaml", "--blocks", "2"],
        cwd=place, capture_output=True, text=True, timeout=120, env={**os.environ, "TMPDIR": str(place / "tmp")},
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot save the comparison here" in done.stderr
    assert "a against" in done.stdout or "b against a" in done.stdout
    (rescued,) = (place / "tmp").glob("harness-results-*/images/*")
    assert folder.load(rescued).status == "completed"


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pair.yaml"], "there is nothing to compare it with"),
        (["pair.yaml", "--a", "stages.work.mean=2ms"], "there is nothing to compare it with"),
        (["pair.yaml", "--b", "load.rate=5/s"], "the load is the same for all sides"),
        (["pair.yaml", "--b", "stages.work.meen=2ms"], "--b stages.work.meen=2ms: stages.work.meen: unknown key"),
        (["pair.yaml", "--b", "stages.work.mean=2ms", "--d", "stages.work.mean=3ms"], "--d is given, and --c is not"),
        (["pair.yaml", "pair.yaml", "--b", "stages.work.mean=2ms"], "go with one scenario"),
        (["pair.yaml", "last"], "expected scenario files or RUNs, not both"),
        (["pair.yaml", "--vary", "stages.work.mean"], "--vary stages.work.mean: expected KEY=VALUE,VALUE"),
        (["pair.yaml", "--vary", "stages.work.mean=1ms", "--b", "x=1"], "exclude one another"),
        (["pair.yaml", "--vary", "stages.work.mean=1ms"], "a comparison has 2 to 8 sides, not 1"),
        (["pair.yaml", "--vary", "stages.work.meen=1,2"], "--vary stages.work.meen=1: stages.work.meen: unknown key"),
        (["pair.yaml", "--vary", "load.rate=1/s,2/s"], "--vary load.rate=1/s: the load is the same for all sides"),
        (
            ["pair.yaml", "--vary", "stages.work.mean=1ms..3ms/1ms", "--vary", "stages.work.workers=1..3/1"],
            "--vary stages.work.mean --vary stages.work.workers: 3 x 3 = 9 sides, and 8 are the most",
        ),
        (["pair.yaml", "pair.yaml", "--set", "load.duration=5s"], "a comparison counts requests"),
        (["pair.yaml", "pair.yaml", "--margin", "5"], "'5' is not a share such as 5% or 0.05"),
        (["pair.yaml", "pair.yaml", "--fail-if", "e2e.p98 > +5%"], "no metric is called 'e2e.p98'"),
        (["pair.yaml", "pair.yaml", "--tolerance", "pixels=3"], "--tolerance pixels=3: expected tensor=X"),
        (["absent.yaml", "pair.yaml"], "there is no such scenario file"),
        (["last~1", "last", "--set", "load.rate=5/s"], "--set goes with scenarios"),
        (["nowhere"], "not a saved comparison"),
    ],
)
def test_bad_usage_ends_with_2_before_anything_starts(place: Path, arguments: list[str], says: str) -> None:
    from click.testing import CliRunner

    from harness.commands import cli

    with contextlib.chdir(place):
        result = CliRunner().invoke(cli, ["compare", *arguments], standalone_mode=False)
    assert result.exception is not None
    shown = str(result.exception) or result.output
    text = f"{shown} {getattr(result.exception, 'message', '')}"
    assert says in text
    assert getattr(result.exception, "exit_code", None) == 2
    assert not (place / "results").exists()


@pytest.mark.slow
def test_what_a_stage_refuses_names_the_side_and_the_line(place: Path) -> None:
    (place / "bad.yaml").write_text(IMAGES + "  - inference: {model: resnet19}\n")
    done = harness("compare", "images.yaml", "bad.yaml", cwd=place)
    assert done.returncode == 2
    assert "bad.yaml:7: side b: stages.inference: torchvision has no classification model 'resnet19'" in done.stderr


def test_sides_take_their_share_of_the_requests_and_the_load_of_the_first(tmp_path: Path) -> None:
    poisson = DELAY.replace("constant, rate", "poisson, rate")
    (tmp_path / "x.yaml").write_text(poisson)
    (tmp_path / "y.yaml").write_text(poisson.replace("100/s", "9/s").replace("1 ms", "2 ms"))
    a, b = prepare([plan_side(tmp_path / f"{name}.yaml", (), (), "--set") for name in "xy"], blocks=7)
    assert a.plan.measured == b.plan.measured == 12
    assert a.plan.load == b.plan.load
    assert (a.plan.due_times(100.0, 3) == b.plan.due_times(100.0, 3)).all()
    assert not np.array_equal(a.plan.due_times(100.0, 2), a.plan.due_times(100.0, 3))


def test_threads_cannot_differ_between_sides_that_share_a_process(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(IMAGES)
    with pytest.raises(UsageError, match="share one process"):
        prepare(variants(tmp_path / "x.yaml", "stages.preprocess.threads=2"), blocks=2)
    assert len(prepare(variants(tmp_path / "x.yaml", "stages.preprocess.threads=2", "executor=process"), blocks=2)) == 2


def test_what_does_not_fit_together_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(IMAGES)
    with pytest.raises(ScenarioError, match=r"x.yaml:6: stages.preprocess: recipe: auto needs an inference stage"):
        variants(tmp_path / "x.yaml", "stages.preprocess.recipe=auto")


def test_several_keys_make_a_side_of_every_combination(place: Path) -> None:
    vary = ("stages.work.mean=1ms,2ms", "stages.work.workers=1..2/1")
    with contextlib.chdir(place):
        sides = prepare(variants_of(["pair.yaml"], ("load.seed=9",), dict.fromkeys("abcd", ()), vary))
    assert [(side.name, side.label) for side in sides] == [
        ("a", "work.mean=1ms, work.workers=1"),
        ("b", "work.mean=1ms, work.workers=2"),
        ("c", "work.mean=2ms, work.workers=1"),
        ("d", "work.mean=2ms, work.workers=2"),
    ]
    assert {side.plan.load.seed for side in sides} == {9}
    assert [side.plan.stages[0].workers for side in sides] == [1, 2, 1, 2]


# What people see


def screen(document: dict[str, Any], width: int, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    report.show(Console(file=out, width=width, highlight=False), ComparisonDocument.model_validate(document))
    out.flush()
    return out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_screen_fits_and_says_what_the_comparison_found(planted: tuple[Path, dict[str, Any]], width: int) -> None:
    text = screen({**planted[1], "saved": "x"}, width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    (row,) = (line for line in text.splitlines() if line.startswith("work service mean"))
    assert row.rstrip().endswith("slower")
    assert "b (work.mean=6ms) is slower" in " ".join(text.split())
    assert text.count("95 % interval") == (1 if width < 100 else 2), "that of the difference is the least needed"


def test_the_plot_has_the_interval_and_the_verdict_of_every_metric_that_has_one(
    planted: tuple[Path, dict[str, Any]],
) -> None:
    (figure,) = compare_plot.draw(ComparisonDocument.model_validate(planted[1])).values()
    (axes,) = figure.axes
    (pair,) = planted[1]["comparisons"]
    decided = [effect for effect in pair["effects"] if effect["ratio_interval"]]
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and tuple(line.get_xdata()) != (1, 1)]
    assert [tuple(bar) for bar in bars] == [tuple(effect["ratio_interval"]) for effect in decided]
    assert [text.get_text().split("  ")[1] for text in axes.texts] == [effect["verdict"] for effect in decided]
    low, high = axes.get_xlim()
    assert all(low < end < high for bar in bars for end in bar)


def test_without_any_interval_there_is_no_plot(planted: tuple[Path, dict[str, Any]]) -> None:
    (pair,) = planted[1]["comparisons"]
    silent = {**pair, "effects": [{**effect, "ratio_interval": None} for effect in pair["effects"]]}
    assert compare_plot.draw(ComparisonDocument.model_validate({**planted[1], "comparisons": [silent]})) == {}


def test_the_screen_needs_neither_colour_nor_more_than_ascii(planted: tuple[Path, dict[str, Any]]) -> None:
    text = screen({**planted[1], "saved": "x"}, 80, "ascii")
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.slow
def test_progress_goes_to_standard_error_a_line_a_block(place: Path) -> None:
    settings = ("--set", "executor=asyncio", "--b", "stages.work.mean=2ms", "--blocks", 2, "--requests", 160)
    done = harness("compare", "pair.yaml", *settings, cwd=place)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0] == "pair: starting the workers of side a"
    assert any(line.startswith("pair: block 1 of 2, side a: ") for line in lines)
    assert "\x1b" not in done.stderr


# Saved runs


def test_two_saved_runs_are_compared_unless_they_differ_in_what_matters(place: Path) -> None:
    for settings in ((), (), ("--set", "stages.work.mean=2ms")):
        quick = ("--set", "executor=asyncio", "--set", "load.rate=400/s", "--quiet")
        assert harness("run", "pair.yaml", *quick, *settings, cwd=place).returncode == 0
    document = compare(place, "last~2", "last~1")
    assert document["kind"] == "runs"
    assert {effect["metric"] for effect in document["comparisons"][0]["effects"]} >= {"e2e.p99", "throughput"}
    refused = harness("compare", "last~1", "last", cwd=place)
    assert refused.returncode == 2
    assert "stages.work.mean: 1 ms and 2 ms" in refused.stderr
    shown = harness("compare", "last~1", "last", "--force", cwd=place)
    assert shown.returncode == 0
    assert "Differs" in shown.stdout
