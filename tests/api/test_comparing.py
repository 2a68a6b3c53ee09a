"""Comparisons from Python: the same documents as the command's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import harness
from harness.studies.compare import folder
from tests.interrupting import interrupted_at

TINY: dict[str, Any] = {
    "name": "tiny",
    "executor": "asyncio",
    "load": {"arrivals": "closed", "requests": 40, "warmup": 1},
    "stages": [{"delay": {"name": "only", "mean": "200 us", "distribution": "constant"}}],
}
FASTER = {"stages.only.mean": "100 us"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> harness.Comparison:
    return harness.compare(TINY, sides=[{}, FASTER], blocks=4, out=tmp_path_factory.mktemp("results"))


def test_a_comparison_is_saved_and_shows_what_the_command_shows(compared: harness.Comparison) -> None:
    assert compared.path is not None
    assert folder.load(compared.path) == compared.result
    assert [side.overrides for side in compared.result.sides] == [(), ("stages.only.mean=100 us",)]
    assert compared.result.comparisons[0].requests == (40, 40)
    assert f"Saved in {compared.path}" in str(compared)
    assert repr(compared).startswith("<Comparison: tiny")
    assert "Saved in" in compared._repr_html_() and "<script" not in compared._repr_html_()


def test_variants_scenarios_and_sides_are_the_same_question(tmp_path: Path) -> None:
    common: dict[str, Any] = {"blocks": 2, "requests": 4, "out": tmp_path}
    other = {
        **TINY,
        "name": "other",
        "stages": [{"delay": {"name": "only", "mean": "100 us", "distribution": "constant"}}],
    }
    varied = harness.compare(TINY, vary={"stages.only.mean": ["200 us", "100 us"]}, **common)
    several = harness.compare(TINY, other, **common)
    assert [side.label for side in varied.result.sides] == ["only.mean=200 us", "only.mean=100 us"]
    assert [side.label for side in several.result.sides] == ["tiny", "other"]


def test_a_gate_is_judged_and_raises_nothing(tmp_path: Path) -> None:
    slower = harness.compare(TINY, sides=[FASTER, {}], blocks=4, requests=8, fail_if=["e2e.mean > +1%"], out=tmp_path)
    assert [row.limit.text for row in slower.result.gate] == ["e2e.mean > +1%"]


def test_two_runs_are_compared_and_a_third_is_refused(tmp_path: Path) -> None:
    runs = [harness.run(TINY, out=tmp_path) for _ in range(2)]
    found = harness.compare(*runs)
    assert found.path is None and found.result.kind == "runs"
    with pytest.raises(harness.UsageError, match="two at a time"):
        harness.compare(*runs, TINY)
    others = harness.run(TINY, FASTER, out=tmp_path)
    with pytest.raises(harness.UsageError):
        harness.compare(runs[0], others)
    assert harness.compare(runs[0], others, force=True).result.differences


@pytest.mark.parametrize("wrong", [{}, {"sides": [{}]}, {"sides": [{}, {}], "vary": {"executor": ["process"]}}])
def test_there_has_to_be_something_to_compare_with(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(harness.UsageError):
        harness.compare(TINY, out=tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_comparison_is_saved_and_raises(tmp_path: Path) -> None:
    with pytest.raises(harness.Interrupted) as raised, interrupted_at("block 1 "):
        harness.compare(TINY, sides=[{}, FASTER], requests=1_000_000, out=tmp_path, progress=True)
    comparison = raised.value.result
    assert comparison.result.status == "interrupted"
    assert folder.load(comparison.path) == comparison.result
