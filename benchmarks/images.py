"""Real inputs for models without trained weights: parts of photographs, and batch-norm statistics taken from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from harness.kernels.torchvision_import import import_torchvision
from numpy.typing import NDArray

from harness.scenario.model import Inference, Preprocess, QuantisationImages
from harness.stages.inference import Setup
from harness.stages.inference.quantisation import samples

SIDE = 224
STATISTICS_FROM = 64


def parts_of_photographs(count: int, seed: int) -> NDArray[np.float32]:
    """Inputs (count, 3, 224, 224): scikit-image's photographs, whole and in random parts, preprocessed."""
    options = Inference(precision="int8", runtime="onnxruntime", calibration=QuantisationImages(samples=count))
    return samples(Setup(options, (3, SIDE, SIDE), 1, 0, Preprocess()), seed)


def network_with_statistics(name: str, path: Path) -> None:
    """Save a state dict of a torchvision model: random weights, but batch-norm statistics of photographs.

    The last layer is such that answers have a mean of zero and a standard deviation of one over the photographs; else
    one class would win for every image.
    """
    import torch

    torch.manual_seed(1)
    module = import_torchvision().models.get_model(name, weights=None)
    inputs = torch.from_numpy(parts_of_photographs(STATISTICS_FROM, seed=4))
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = None  # a plain mean over all batches
        layer.reset_running_stats()
    with torch.inference_mode():
        module.train()
        for layer in module.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.eval()
        module(inputs)
        module.eval()
        last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.bias.sub_(module(inputs).mean(0))
        spread = module(inputs).std()
        last.weight.div_(spread)
        last.bias.div_(spread)
    torch.save(module.state_dict(), path)
