"""Variants of a scenario: planned before anything runs, with errors in the user's terms."""

import pytest

from harness.errors import ScenarioError
from harness.studies.variants import plan_variant

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
    with pytest.raises(ScenarioError, match=r"^--set load.rate=1: .* [(]with --vary stages.delay.workers=2[)]"):
        plan_variant(path, ["load.rate=1"], ["stages.delay.workers=2"])
