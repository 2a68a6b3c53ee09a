"""Variants of a scenario: planned before anything runs, with errors in the user's terms."""

import pytest

from harness.errors import ScenarioError
from harness.scenario import combinations, parse_axes
from harness.studies.variants import label_of, plan_variant, plan_variants, values_of

FILE = """\
name: small
load: {arrivals: constant, rate: 10/s, requests: 5}
stages:
  - delay: {mean: 1 ms}
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(FILE)
    return file


def test_a_variant_is_planned_with_all_overrides(path):
    variant = plan_variant(path, ["load.rate=20/s"], ["stages.delay.workers=2"])
    assert (variant.plan.load.rate, variant.plan.stages[0].workers) == (20.0, 2)
    assert variant.label == "delay.workers=2"
    assert variant.given == "# --set load.rate=20/s\n# --set stages.delay.workers=2\n" + FILE
    assert plan_variant(path).label == "as given"


def test_an_error_names_the_option_that_the_value_was_given_with(path):
    with pytest.raises(ScenarioError, match=r"^--vary stages.delay.workers=0: stages.delay.workers: expected at least"):
        plan_variant(path, ["load.rate=20/s"], ["stages.delay.workers=0"])
    with pytest.raises(ScenarioError, match=r"^--b stages.delay.workers=x: "):
        plan_variant(path, [], ["stages.delay.workers=x"], option="--b")


def test_an_error_elsewhere_names_the_combination(path):
    own = combinations(parse_axes(["stages.delay.workers=1,2"]), 2)
    with pytest.raises(ScenarioError, match=r"^--set load.rate=1: .* [(]with stages.delay.workers=1[)]"):
        plan_variants(path, ["load.rate=1"], own, label_of)


def test_every_combination_has_a_label(path):
    own = combinations(parse_axes(["stages.delay.workers=1,2", "executor=asyncio"]), 2)
    assert [v.label for v in plan_variants(path, [], own, label_of)] == [
        "delay.workers=1, executor=asyncio",
        "delay.workers=2, executor=asyncio",
    ]
    assert [v.label for v in plan_variants(path, [], own, values_of)] == ["1, asyncio", "2, asyncio"]
    assert [v.label for v in plan_variants(path, [], [()], values_of)] == ["as given"]
