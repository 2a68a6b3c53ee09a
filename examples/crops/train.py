"""Cut the photographs of scikit-image into crops, and fit a model of torchvision to tell which one a crop is from.

    python -m examples.crops.train build/crops --model resnet18
    harness accuracy build/crops/resnet18.yaml --data build/crops/test

With random weights all images get nearly the same logits, whose order says nothing; pretrained ones have to be
downloaded. So the layers stay random, their batch normalisation is fitted to the crops, and the last layer is solved
for by least squares: logits that mean something, in half a minute and without a network. FOLDER then holds train/ and
test/ with a folder a photograph, MODEL.pt and MODEL.yaml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import yaml
from harness.kernels import Recipe
from harness.kernels.torchvision_import import import_torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from harness import kernels
from harness.scenario import Source
from harness.stages.source import load

COUNTS = {"train": 640, "test": 512}
RECIPE = Recipe()
SMALLEST, LARGEST = 96, 256
FITTED = 128
"""Crops that batch normalisation is fitted to."""
RIDGE = 1e-2


def write_images(folder: Path) -> list[str]:
    """FOLDER/train/rocket/0042.jpg: seeded squares of the photographs, half of them mirrored; return the classes."""
    photos = load(Source(images="photos"), np.random.SeedSequence(0))
    names = [Path(entry.name).stem for entry in photos.entries]
    rng = np.random.default_rng(1)
    for part, count in COUNTS.items():
        for index in range(count):
            which = index % len(names)
            pixels = photos[which]
            side = int(rng.integers(SMALLEST, min(LARGEST, *pixels.shape[:2]) + 1))
            top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
            crop = pixels[top : top + side, left : left + side]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
            path = folder / part / names[which] / f"{index:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(crop)).save(path, quality=92)
    photos.close()
    return sorted(names)


def read(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Every image below `folder`, preprocessed, and the index of its folder."""
    backend = kernels.load("torchvision", RECIPE)
    paths = sorted(folder.glob("*/*.jpg"))
    classes = sorted({path.parent.name for path in paths})
    inputs: NDArray[np.float32] = np.empty((len(paths), *RECIPE.output_shape), np.float32)
    for path, out in zip(paths, inputs, strict=True):
        backend.run(np.asarray(Image.open(path).convert("RGB")), out)
    return torch.from_numpy(inputs), torch.tensor([classes.index(path.parent.name) for path in paths])


@torch.no_grad()
def fit(name: str, inputs: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """A model of torchvision with random layers, fitted normalisation, and a last layer by ridge regression."""
    torch.manual_seed(0)
    classes = int(labels.max()) + 1
    model: nn.Module = import_torchvision().models.get_model(name, weights=None, num_classes=classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over all that it sees
    model.train()
    for batch in inputs[:: max(1, len(inputs) // FITTED)].split(32):
        model(batch)
    model.eval()
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    hook = last.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    for batch in inputs.split(32):
        model(batch)
    hook.remove()
    features = torch.cat(seen).double()
    middle, spread = features.mean(0), features.std(0) + 1e-6
    x = (features - middle) / spread
    y = nn.functional.one_hot(labels, classes).double()
    weight = torch.linalg.solve(x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    last.weight.copy_((weight / spread[:, None]).T)
    last.bias.copy_(y.mean(0) - (middle / spread) @ weight)
    return model


def scenario(name: str, classes: int) -> dict[str, object]:
    """How the model is run, for a file beside its weights."""
    weights = {"model": name, "weights": f"{name}.pt", "classes": classes, "calibration": {"images": "train"}}
    return {
        "name": f"crops_{name}",
        "source": {"images": "train", "as": "encoded"},
        "load": {"arrivals": "closed", "requests": 200, "warmup": 10, "seed": 1},
        "stages": [{"preprocess": {"backend": "numba"}}, {"inference": weights}, {"postprocess": {"top_k": 5}}],
    }


def make(folder: Path, name: str) -> Path:
    """All of it; return the scenario."""
    classes = write_images(folder)
    model = fit(name, *read(folder / "train"))
    torch.save(model.state_dict(), folder / f"{name}.pt")
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(scenario(name, len(classes)), sort_keys=False))
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
