"""A scenario is found by its name from anywhere: those that are installed come behind the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import scenario
from harness.errors import UsageError

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
