"""The variants of an accuracy study are the combinations that go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario import parse_axes
from harness.studies.accuracy.variants import combine


def varied(folder: Path, *vary: str) -> tuple[list[str], list[str]]:
    file = folder / "x.yaml"
    file.write_text(
        "name: x\nload: {arrivals: closed, requests: 5}\nstages:\n  - preprocess: {resize: 40, crop: 32}\n"
        "  - inference: {model: squeezenet1_1, classes: 12}\n"
    )
    variants, left_out = combine(file, [], parse_axes(vary))
    return [variant.label for variant in variants], left_out


def test_every_combination_is_a_variant(tmp_path: Path) -> None:
    assert varied(tmp_path)[0] == ["as given"]
    crops = ("stages.preprocess.crop=16,24", "stages.preprocess.resize=[32, 40],48")
    assert varied(tmp_path, *crops)[0] == ["16, [32, 40]", "16, 48", "24, [32, 40]", "24, 48"]


def test_combinations_that_do_not_go_together_are_left_out_but_no_value_is(tmp_path: Path) -> None:
    runtime, precision = "stages.inference.runtime", "stages.inference.precision"
    labels, left_out = varied(tmp_path, f"{runtime}=torch,onnxruntime", f"{precision}=float32,int8")
    assert labels == ["torch, float32", "onnxruntime, float32", "onnxruntime, int8"]
    assert len(left_out) == 1 and left_out[0].startswith("torch, int8: ")
    with pytest.raises(ScenarioError, match=r"^--vary stages.inference.runtime=onx: .*onnxruntime"):
        varied(tmp_path, f"{runtime}=torch,onx")
