"""Small networks as a user would write them, factories that go wrong, and the network as an ONNX file."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

SIDE, CLASSES = 32, 5
SHAPE = (3, SIDE, SIDE)


class Network(torch.nn.Module):
    """Convolutions and a batch norm with statistics of its own, then one logit a class."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2, padding=1),
            torch.nn.BatchNorm2d(16),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 3, stride=2, padding=1),
            torch.nn.ReLU(),
        )
        self.last = torch.nn.Linear(32, CLASSES)
        with torch.no_grad():
            self.features[1].running_mean.normal_(std=0.3)
            self.features[1].running_var.uniform_(0.5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.features(images).mean((2, 3)))


class TwoOutputs(Network):
    def forward(self, images: torch.Tensor) -> Any:
        answer = super().forward(images)
        return OrderedDict(negated=-answer, answer=answer)


def network() -> torch.nn.Module:
    return Network()


def two_outputs() -> torch.nn.Module:
    return TwoOutputs()


def raises() -> torch.nn.Module:
    raise OSError("the licence server is away")


def hangs() -> torch.nn.Module:
    time.sleep(3600)
    return Network()


def a_number() -> int:
    return 7


def onnx_file(path: Path, network: Network, *, side: int = SIDE, batch: int | str = "batch") -> Path:
    """The network as ONNX, written operator by operator; its second output is the negated first."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    names = {name: name.replace(".", "_") for name in network.state_dict()}
    weights = [
        numpy_helper.from_array(value.numpy(), names[name])
        for name, value in network.state_dict().items()
        if value.dtype == torch.float32
    ]
    norm = [f"features_1_{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    convolution = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["images", "features_0_weight", "features_0_bias"], ["a"], **convolution),
        helper.make_node("BatchNormalization", ["a", *norm], ["b"], epsilon=1e-5),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "features_3_weight", "features_3_bias"], ["d"], **convolution),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "last_weight", "last_bias"], ["answer"], transB=1),
        helper.make_node("Neg", ["answer"], ["negated"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, side, side])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, CLASSES]) for n in ("answer", "negated")]
    graph = helper.make_graph(nodes, "network", [images], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
