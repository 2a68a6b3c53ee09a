"""Images with or without labels: a folder with one folder per class, as for ImageFolder, or a scenario's source."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.plan import Plan
from harness.scenario.model import Source
from harness.stages import RequestError
from harness.stages.source import SUFFIXES, ImageSet, load, read
from harness.text import one_line

WNIDS = Path(__file__).with_name("imagenet_wnids.txt")
"""WordNet's ids of the 1,000 classes of ILSVRC 2012 in the order of the outputs of models trained on them."""


@dataclass(frozen=True)
class Files:
    """Images that are read when they are needed: a folder may hold more than fits into memory."""

    paths: tuple[Path, ...]
    source: Source

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        """Pixels, or a memoryview of a file's bytes, as from an ImageSet. Raises RequestError, ScenarioError."""
        found = read(self.paths[index], self.source)
        if isinstance(found, str):
            raise RequestError(found)
        return memoryview(found) if isinstance(found, bytes) else found

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(frozen=True)
class Dataset:
    """Images and their names, and labels where there are any: indices of classes, shape (images,).

    classes: names of classes by index. mapped_by: where the indices come from. outside: how many images were left out
    because they lie in no class's folder.
    """

    images: ImageSet | Files
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    mapped_by: str = ""
    outside: int = 0

    def sample(self, limit: int | None, seed: np.random.SeedSequence) -> Dataset:
        """At most `limit` of the images, drawn at random, in the given order."""
        if limit is None or limit >= len(self.names):
            return self
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self.names))[:limit])
        images = self.images
        return replace(
            self,
            images=replace(images, paths=tuple(images.paths[i] for i in drawn))
            if isinstance(images, Files)
            else replace(images, entries=tuple(images.entries[i] for i in drawn)),
            names=tuple(self.names[i] for i in drawn),
            labels=None if self.labels is None else self.labels[drawn],
        )


def of_source(plan: Plan) -> Dataset:
    """The images of the scenario's own source, without labels. Raises ScenarioError."""
    images = load(plan.scenario.source, plan.seed("content"), plan.seed("images"))
    return Dataset(images, tuple(entry.name for entry in images.entries))


def of_folder(folder: Path, source: Source, outputs: int, class_map: Path | None, *, labelled: bool = True) -> Dataset:
    """The images in a folder, read as `source` says.

    Each folder in it that holds images is a class. The index of a class comes from `class_map`: lines or a JSON list of
    folder names in the order of the outputs, or a JSON object from folder name to index. Without one it comes from
    ImageNet's wnids, or from the order of the sorted names as in ImageFolder, if there are as many as `outputs`.
    labelled: False uses all images below the folder without labels. Raises UsageError.
    """
    if not folder.is_dir():
        raise UsageError(
            "there is no such folder", where=f"--data {folder}", hint="It has to hold one folder per class."
        )
    source = source.model_copy(update={"images": str(folder)})
    folders = {p.name: _below(p) for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")}
    everything = _below(folder)
    if not everything:
        raise UsageError(
            "there are no images in this folder", where=f"--data {folder}", hint=f"They end with {', '.join(SUFFIXES)}."
        )
    if not (labelled and any(folders.values())):
        if class_map is not None:
            raise UsageError(f"there are no folders with images in {folder}", where=f"--classes {class_map}")
        return Dataset(Files(tuple(everything), source), _names(everything, folder))
    indices, mapped_by = _indices(list(folders), outputs, class_map, folder)
    paths = [path for name in folders for path in folders[name]]
    labels = [indices[name] for name in folders for _ in folders[name]]
    return Dataset(
        Files(tuple(paths), source),
        _names(paths, folder),
        np.array(labels, np.int64),
        {index: name for name, index in reversed(indices.items())},
        mapped_by,
        len(everything) - len(paths),
    )


def _below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def _names(paths: Sequence[Path], folder: Path) -> tuple[str, ...]:
    return tuple(one_line(os.fsencode(p.relative_to(folder)).decode(errors="backslashreplace")) for p in paths)


# ------------------------------------------------------------------ the index of a class


@cache
def wnids() -> Mapping[str, int]:
    """Index of each ImageNet class by its wnid."""
    return {name: index for index, name in enumerate(WNIDS.read_text(encoding="ascii").split())}


def _indices(folders: Sequence[str], outputs: int, class_map: Path | None, folder: Path) -> tuple[dict[str, int], str]:
    """The index of each folder's class, and where it comes from."""
    if class_map is not None:
        return _mapped(folders, outputs, class_map), str(class_map)
    if outputs == len(wnids()) and all(name in wnids() for name in folders):
        return {name: wnids()[name] for name in folders}, "ImageNet's wnids"
    if len(folders) != outputs:
        raise UsageError(
            f"{len(folders)} folders, and the model has {outputs} outputs: which folder is which class is not clear",
            where=f"--data {folder}",
            hint="Give their classes with --classes FILE, or --unlabelled for the agreement only.",
        )
    if all(name.isdecimal() for name in folders) and sorted(folders, key=int) != list(folders):
        raise UsageError(
            f"folders {', '.join(folders[:3])}, ...: sorted as text, as ImageFolder does, or as numbers?",
            where=f"--data {folder}",
            hint="Give their order with --classes FILE, a folder a line.",
        )
    return {name: index for index, name in enumerate(folders)}, "the order of the folders"


def _mapped(folders: Sequence[str], outputs: int, class_map: Path) -> dict[str, int]:
    where = f"--classes {class_map}"
    given = _read_map(class_map, where)
    for name in folders:
        if name not in given:
            raise UsageError(f"it has no class for the folder {name!r}", where=where)
        if not 0 <= given[name] < outputs:
            raise UsageError(f"{name!r} has the index {given[name]}, and the model has {outputs} outputs", where=where)
    return {name: given[name] for name in folders}


def _read_map(path: Path, where: str) -> dict[str, int]:
    try:
        text = path.read_text(encoding="utf-8")
        found: Any = json.loads(text) if path.suffix == ".json" else [line.strip() for line in text.splitlines()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read the class map: {reason}", where=where) from None
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        names = [name for name in found if name]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{twice!r} stands in it twice", where=where)
        return {name: index for index, name in enumerate(names)}
    if isinstance(found, dict) and all(type(index) is int for index in found.values()):
        return found
    raise UsageError(
        "not a class map", where=where, hint="Expected folder names in the order of the outputs, or {folder: index}."
    )
