"""Equivalence before speed: what the sides answer is compared first, within tolerances."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.studies.compare.equivalence import Tolerance, examine
from harness.studies.compare.sides import prepare
from tests.command import harness
from tests.studies.compare.scenarios import IMAGES, compare, variants


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


def test_tolerances_are_read_as_they_are_written() -> None:
    assert Tolerance.parse([]) == Tolerance(0.05, None, None)
    assert Tolerance.parse(["none"]) == Tolerance(None, None, None)
    assert Tolerance.parse(["none", "top1=0.9"]) == Tolerance(None, None, 0.9)
    for text in ("tensor", "tensor=x", "tensor=-1", "pixels=1", "logits=nan"):
        with pytest.raises(UsageError, match="expected tensor=X"):
            Tolerance.parse([text])
