"""What the examples have in common: reading labelled images as a scenario will, and fitting a model to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from harness.kernels import load
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from harness.scenario import Preprocess
from harness.stages.preprocess import recipe

BATCH = 64


def read(folder: Path, options: Preprocess) -> tuple[torch.Tensor, torch.Tensor]:
    """Every image in the folders of `folder`, as torchvision's preprocessing makes it, and the index of its folder."""
    backend = load("torchvision", recipe(options))
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    classes = sorted({path.parent.name for path in paths})
    inputs: NDArray[np.float32] = np.empty((len(paths), *recipe(options).output_shape), np.float32)
    for path, out in zip(paths, inputs, strict=True):
        backend.run(np.asarray(Image.open(path, formats=["JPEG", "PNG"]).convert("RGB")), out)
    return torch.from_numpy(inputs), torch.tensor([classes.index(path.parent.name) for path in paths])


def fit(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, epochs: int, rate: float) -> nn.Module:
    """Adam on shuffled batches, its rate falling along a cosine; on one thread, so that sums have one order."""
    torch.set_num_threads(1)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(inputs) // BATCH))
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()
