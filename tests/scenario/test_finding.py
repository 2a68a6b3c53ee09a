"""A scenario is found by its name from anywhere: those that are installed come behind the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import scenario
from harness.errors import UsageError
from tests.scenario.files import MINIMAL

INSTALLED = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["resnet18_cpu", "resnet18_cpu.yaml", "null"])
def test_from_an_empty_folder(name):
    found = scenario.find(name)
    assert found.samefile(INSTALLED / Path(name).with_suffix(".yaml"))
    assert scenario.load(found).name == found.stem


def test_ones_own_go_first(elsewhere):
    (elsewhere / "scenarios").mkdir()
    mine = elsewhere / "scenarios" / "null.yaml"
    mine.write_text((INSTALLED / "mm1.yaml").read_text())
    assert scenario.find("null").samefile(mine)


def test_a_path_is_no_name(elsewhere):
    with pytest.raises(UsageError, match="no such scenario"):
        scenario.find("somewhere/null")


def test_what_is_wrong_lists_names():
    with pytest.raises(UsageError) as nearly:
        scenario.find("resnet18")
    assert nearly.value.hint == "Did you mean resnet18_cpu?"
    with pytest.raises(UsageError) as far:
        scenario.find("zzzzzz")
    assert far.value.hint.startswith("There are batch1_closed, ")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "scenarios").mkdir()
    for name in ("resnet18_cpu", "smoke", "mm1"):
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("reference", ["smoke", "smoke.yaml", "scenarios/smoke", "scenarios/smoke.yaml"])
def test_a_scenario_is_found_by_path_or_by_bare_name(folder, reference):
    assert scenario.find(reference) == Path("scenarios/smoke.yaml")


def test_a_file_here_goes_before_one_in_scenarios(folder):
    Path("smoke.yaml").write_text(MINIMAL)
    assert scenario.find("smoke") == Path("smoke.yaml")


@pytest.mark.parametrize("reference", ["resnet18", "scenarios/resnet18_gpu.yaml", "resnet18_cpu.yml"])
def test_a_name_that_is_nearly_right_is_suggested(folder, reference):
    with pytest.raises(UsageError, match=r"Did you mean scenarios/resnet18_cpu\.yaml\?"):
        scenario.find(reference)


def test_a_name_that_is_far_off_gets_the_list(folder):
    with pytest.raises(
        UsageError, match=r"There are scenarios/mm1\.yaml, scenarios/resnet18_cpu\.yaml, scenarios/smoke"
    ):
        scenario.find("zzzzzz")


def test_a_folder_is_not_a_scenario(folder):
    with pytest.raises(UsageError, match="not a scenario file"):
        scenario.find("scenarios")
