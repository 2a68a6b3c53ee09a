"""Cut photographs of scikit-image into crops, and train a model of torchvision to tell which one a crop is from.

    python -m examples.crops.train build/crops --model resnet18
    harness accuracy build/crops/resnet18.yaml --data build/crops/test

Random weights give all images nearly the same logits, whose order says nothing, and pretrained ones have to be
downloaded: so the model is trained here, on crops of 64x64 pixels, in a minute or two. FOLDER then holds train/ and
test/ with a folder a photograph (896 and 560 crops, seeded), MODEL.pt and MODEL.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import yaml
from harness.kernels.torchvision_import import import_torchvision
from PIL import Image

from examples.training import fit, read
from harness.scenario import Preprocess, Source
from harness.stages.source import load

COUNTS = {"train": 896, "test": 560}
SMALLEST, LARGEST = 96, 256
TWIN = "motorcycle_right.png"
"""The right half of a stereo pair: its crops are those of the left one."""
PREPROCESS = Preprocess(resize=72, crop=64)
EPOCHS, RATE = 6, 1e-3


def write_images(folder: Path) -> int:
    """FOLDER/train/rocket/0042.jpg: squares of the photographs, half of them mirrored; return how many classes."""
    photos = load(Source(images="photos"), np.random.SeedSequence(0))
    named = [(Path(e.name).stem, photos[i]) for i, e in enumerate(photos.entries) if e.name != TWIN]
    rng = np.random.default_rng(1)
    for part, count in COUNTS.items():
        for index in range(count):
            name, pixels = named[index % len(named)]
            side = int(rng.integers(SMALLEST, LARGEST + 1))
            top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
            crop = pixels[top : top + side, left : left + side]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
            path = folder / part / name / f"{index:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(crop)).save(path, quality=92)
    photos.close()
    return len(named)


def scenario(name: str, classes: int) -> dict[str, object]:
    """How the model is run, for a file beside its weights."""
    inference = {"model": name, "weights": f"{name}.pt", "classes": classes, "calibration": {"images": "train"}}
    preprocess = {"backend": "numba", "resize": PREPROCESS.resize, "crop": PREPROCESS.crop}
    return {
        "name": f"crops_{name}",
        "source": {"images": "train", "as": "encoded"},
        "load": {"arrivals": "closed", "requests": 1000, "warmup": 50, "seed": 1},
        "stages": [{"preprocess": preprocess}, {"inference": inference}, {"postprocess": {"top_k": 5}}],
    }


def make(folder: Path, name: str) -> Path:
    """All of it; return the scenario."""
    classes = write_images(folder)
    torch.manual_seed(0)
    model = import_torchvision().models.get_model(name, weights=None, num_classes=classes)
    fit(model, *read(folder / "train", PREPROCESS), EPOCHS, RATE)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(scenario(name, classes), sort_keys=False))
    return path


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="resnet18", help="any classification model of torchvision")
    given = parser.parse_args()
    print(f"harness accuracy {make(given.folder, given.model)} --data {given.folder / 'test'}")


if __name__ == "__main__":
    main()
