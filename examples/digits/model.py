"""The network, as a factory for `model: {factory: "examples.digits.model:network"}`."""

from __future__ import annotations

import torch
from torch import nn


def network() -> nn.Module:
    """Three convolutions and a linear layer: float32 (n, 3, 32, 32) in, 10 logits out. Its weights are random."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, 10)).to(torch.float32)
