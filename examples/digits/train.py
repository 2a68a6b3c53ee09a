"""Write scikit-learn's digits as images, train the network on 60 % of them, and put a scenario beside it.

    python -m examples.digits.train build/digits
    harness accuracy build/digits/digits.yaml --data build/digits/test

FOLDER then holds train/ and test/ with a folder a digit (1,078 and 719 images), digits.pt and digits.yaml. It takes a
few seconds, and gives the same images always, and the same weights on the same machine and torch.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from examples.digits.model import network
from examples.training import fit, read
from harness.scenario import Preprocess, load

SCENARIO = Path(__file__).with_name("digits.yaml")
EPOCHS, RATE = 20, 3e-3


def write_images(folder: Path) -> None:
    """FOLDER/train/3/0042.png: 8x8 grey pixels, named by their place in scikit-learn's set."""
    digits = load_digits()
    places = np.arange(len(digits.target))
    for name, part in zip(
        ("train", "test"), train_test_split(places, test_size=0.4, stratify=digits.target, random_state=0), strict=True
    ):
        for place in part:
            path = folder / name / str(digits.target[place]) / f"{place:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(digits.images[place] * (255 / 16)).astype(np.uint8)).save(path)


def make(folder: Path) -> Path:
    """All of it; return the scenario."""
    write_images(folder)
    scenario = Path(shutil.copy(SCENARIO, folder))
    options = next(stage for stage in load(scenario).stages if isinstance(stage, Preprocess))
    torch.manual_seed(0)
    model = fit(network(), *read(folder / "train", options), EPOCHS, RATE)
    torch.save(model.state_dict(), folder / "digits.pt")
    return scenario


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(f"harness accuracy {make(folder)} --data {folder / 'test'}")


if __name__ == "__main__":
    main()
