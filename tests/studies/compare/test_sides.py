"""The sides of a comparison: what is refused, and what they share."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from harness.commands.compare import _variants as variants_of
from harness.errors import ScenarioError, UsageError
from harness.studies.compare.sides import plan_side, prepare
from tests.command import harness
from tests.studies.compare.scenarios import DELAY, IMAGES, variants


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
