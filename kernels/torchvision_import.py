"""Import torchvision even where its compiled operators do not match the installed torch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_registered: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import and return torchvision.

    A CUDA build of torchvision beside a CPU build of torch cannot load its operators, and its import then fails on the
    shape functions of two that do not exist. Declaring those two makes models and transforms usable; calling the
    operators themselves, and torchvision's own image decoders, still fails.
    """
    import torch

    if not _registered and not _compiled_operators_load():
        for name in _OPERATORS:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(
                    f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
        _registered.extend(_OPERATORS)

    import torchvision

    module: ModuleType = torchvision
    return module


def _compiled_operators_load() -> bool:
    """Whether torchvision's extension library can be loaded into this torch; looks without importing torchvision."""
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    import torch

    ops: Any = torch.ops
    if "torchvision" in sys.modules:
        return True
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    for folder in spec.submodule_search_locations:
        for library in (*Path(folder).glob("_C*.so"), *Path(folder).glob("_C*.pyd"), *Path(folder).glob("_C*.dylib")):
            try:
                ops.load_library(library)
            except OSError:
                return False
            return hasattr(ops.torchvision, "nms")
    return False
