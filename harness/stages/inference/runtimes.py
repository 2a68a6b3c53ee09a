"""The runtimes: what each takes and can do, and the module that implements it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["name", "factory", "onnx", "torchscript", "openvino", "export"]
"""How a model is given: a name of torchvision, code of the user's own, or a file."""

CUDA_PARTS = ("h2d", "compute", "d2h")
"""Parts of the service of a model on a GPU: host to device, kernels, device to host."""


@dataclass(frozen=True)
class RuntimeKind:
    """A runtime as scenarios name it.

    implementation: `module:Class` of a Runtime, below harness.stages.inference, imported when a worker builds it.
    forms: of models that it takes. channels_last: whether it can keep that memory format.
    """

    implementation: str
    forms: tuple[Form, ...]
    precisions: tuple[str, ...] = ("float32",)
    devices: tuple[str, ...] = ("cpu",)
    channels_last: bool = False


# The first one that takes a form is the one that it gets unless another is named.
RUNTIMES: Mapping[str, RuntimeKind] = {
    "torch": RuntimeKind(
        "torch:TorchRuntime", ("name", "factory"), ("float32", "bf16"), ("cpu", "cuda"), channels_last=True
    ),
    "torch.compile": RuntimeKind(
        "torch_compile:CompiledRuntime", ("name", "factory"), ("float32", "bf16"), ("cpu", "cuda"), channels_last=True
    ),
    "torchscript": RuntimeKind("torchscript:TorchScriptRuntime", ("name", "factory", "torchscript")),
    "torch.export": RuntimeKind("torch_export:ExportedRuntime", ("name", "factory", "export")),
    "onnxruntime": RuntimeKind(
        "onnxruntime:OnnxRuntime", ("name", "factory", "onnx"), ("float32", "int8"), ("cpu", "cuda")
    ),
    "openvino": RuntimeKind(
        "openvino:OpenVinoRuntime", ("name", "factory", "openvino", "onnx"), ("float32", "bf16", "int8")
    ),
}


def taking(form: str) -> list[str]:
    """The runtimes that take a model in this form."""
    return [name for name, kind in RUNTIMES.items() if form in kind.forms]
