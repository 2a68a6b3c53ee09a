"""Labelled images: which folder is which class, and samples of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.scenario.model import Source
from harness.stages import source
from harness.studies.accuracy.dataset import Dataset, of_folder, wnids


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(root / name / "a.png")
    return root


def labels(root: Path, outputs: int, class_map: Path | None = None) -> dict[str, int]:
    found = of_folder(root, Source(), outputs, class_map)
    assert found.labels is not None
    return {name.partition("/")[0]: int(label) for name, label in zip(found.names, found.labels, strict=True)}


def test_sorted_folders_are_the_classes(tmp_path: Path) -> None:
    assert labels(folders(tmp_path, "zebra", "ant", "cow"), 3) == {"ant": 0, "cow": 1, "zebra": 2}


def test_a_few_folders_of_imagenet_get_its_indices(tmp_path: Path) -> None:
    root = folders(tmp_path, "n02123045", "n01440764", "n15075141")
    assert labels(root, 1000) == {"n01440764": 0, "n02123045": 281, "n15075141": 999}


def test_imagenets_wnids_are_a_thousand_in_order() -> None:
    names = list(wnids())
    assert len(names) == 1000
    assert names == sorted(names)
    assert wnids()["n02099601"] == 207  # golden retriever
    assert wnids()["n07749582"] == 951  # lemon


@pytest.mark.parametrize(
    ("name", "text"),
    [("map.txt", "zebra\nant\n"), ("map.json", '["zebra", "ant"]'), ("map.json", '{"ant": 1, "zebra": 0, "cow": 5}')],
)
def test_a_map_says_which_folder_is_which_class(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert labels(folders(tmp_path / "data", "ant", "zebra"), 7, tmp_path / name) == {"ant": 1, "zebra": 0}


@pytest.mark.parametrize(
    ("names", "outputs", "text", "says"),
    [
        (["ant", "cow"], 3, None, "2 folders, and the model has 3 outputs"),
        (["0", "1", "2", "10"], 4, None, "sorted as text, as ImageFolder does, or as numbers"),
        (["ant", "cow"], 3, "ant\n", "no class for the folder 'cow'"),
        (["ant", "cow"], 1, "ant\ncow\n", "'cow' has the index 1, and the model has 1 outputs"),
        (["ant"], 3, "ant\nant\n", "'ant' stands in it twice"),
        (["ant"], 3, '{"ant": "first"}', "not a class map"),
        (["ant"], 3, "{", "cannot read the class map"),
    ],
)
def test_classes_that_are_not_clear_are_refused(
    tmp_path: Path, names: list[str], outputs: int, text: str | None, says: str
) -> None:
    class_map = None
    if text is not None:
        class_map = tmp_path / ("map.json" if text[0] == "{" else "map.txt")
        class_map.write_text(text)
    with pytest.raises(UsageError, match=says):
        of_folder(folders(tmp_path / "data", *names), Source(), outputs, class_map)


def test_images_without_folders_have_no_labels(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert of_folder(tmp_path, Source(), 1000, None).labels is None


def test_images_outside_the_classes_are_counted(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(folders(tmp_path, "ant", "cow") / "stray.png")
    found = of_folder(tmp_path, Source(), 2, None)
    assert (len(found.names), found.outside) == (2, 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_images_is_an_error(tmp_path: Path, there: bool) -> None:
    with pytest.raises(UsageError, match="no images in this folder" if there else "no such folder"):
        of_folder(tmp_path if there else tmp_path / "absent", Source(), 10, None)


def test_a_sample_keeps_images_and_labels_together(tmp_path: Path) -> None:
    root = tmp_path
    for label in range(3):
        for index in range(20):
            (root / str(label)).mkdir(exist_ok=True)
            Image.new("RGB", (2, 2), (label, index, 0)).save(root / str(label) / f"{index:02}.png")
    whole = of_folder(root, Source(), 3, None)
    part = whole.sample(25, np.random.SeedSequence(1))
    again = whole.sample(25, np.random.SeedSequence(1))
    assert part.names == again.names
    assert len(part.names) == len(part.images) == 25
    assert part.labels is not None
    for index in range(25):
        assert part.images[index][0, 0, 0] == part.labels[index]
    assert whole.sample(60, np.random.SeedSequence(1)) is whole


def test_a_scenarios_own_images_can_be_sampled() -> None:
    images = source.load(Source(images="photos"), np.random.SeedSequence(1))
    try:
        names = tuple(entry.name for entry in images.entries)
        part = Dataset(images, names).sample(3, np.random.SeedSequence(1))
        for index, name in enumerate(part.names):
            np.testing.assert_array_equal(part.images[index], images[names.index(name)])
    finally:
        images.close()
