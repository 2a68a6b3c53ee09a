"""A scenario may be a name, a path, a mapping or a Scenario; overrides a mapping or texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import harness
from harness.api.scenarios import scenario_file
from harness.scenario import load, texts_of
from harness.scenario.overriding import Override

TINY = {
    "name": "tiny",
    "load": {"arrivals": "constant", "rate": "100/s", "requests": 10},
    "stages": [{"delay": {"mean": "1 ms"}}, {"null": {"name": "end", "workers": 2}}],
}


def test_a_mapping_a_file_a_name_and_a_scenario_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    monkeypatch.chdir(tmp_path)
    by_mapping = harness.load_scenario(TINY, {"load.seed": 7})
    assert by_mapping.load.seed == 7
    for given_as in (by_mapping, "tiny", "tiny.yaml", tmp_path / "tiny.yaml"):
        assert harness.load_scenario(given_as, ["load.seed=7"]) == by_mapping
        with scenario_file(given_as) as path:
            assert load(path, ["load.seed=7"]) == by_mapping


def test_a_mapping_stays_as_it_was() -> None:
    before = repr(TINY)
    harness.load_scenario(TINY, {"stages.end.workers": 3, "load.rate": "5/s"})
    assert repr(TINY) == before


def test_one_that_is_wrong_is_refused_with_its_key() -> None:
    with pytest.raises(harness.ScenarioError, match=r"scenario tiny: stages.end.workers: expected at least 1"):
        harness.load_scenario({**TINY, "stages": [{"null": {"name": "end", "workers": 0}}]})
    with pytest.raises(harness.ScenarioError, match=r"--set load.seed=-1: load.seed: expected at least 0"):
        harness.load_scenario(TINY, {"load.seed": -1})


def test_a_name_that_nothing_has_is_a_usage_error() -> None:
    with pytest.raises(harness.UsageError, match="no such scenario"):
        harness.load_scenario("nothing_of_this_name")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(PLAIN)
@example({"\n": None, "𐀀\x7f\x85": "20/s\n"})
def test_a_value_of_a_mapping_is_read_back_as_it_is(value: Any) -> None:
    (text,) = texts_of({"load.x": value})
    assert "\n" not in text
    read = Override.parse(text)
    assert (read.path, read.value) == (("load", "x"), value)


def test_paths_and_numpy_scalars_are_values_too() -> None:
    texts = texts_of({"source.images": Path("a b/c"), "load.requests": np.int64(5), "x.y": (1, np.float64(0.5))})
    assert [Override.parse(text).value for text in texts] == ["a b/c", 5, [1, 0.5]]


@pytest.mark.parametrize("wrong", ["load.rate=20/s", {"load.rate": object()}])
def test_what_no_scenario_can_hold_is_refused(wrong: Any) -> None:
    with pytest.raises(harness.ScenarioError, match=r"load\.rate"):
        texts_of(wrong)
