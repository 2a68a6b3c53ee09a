"""torchvision's own preprocessing behind the contract: the baselines that the other backends are held against."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np

from .contract import Backend, BackendUnavailable, Image, Output, Plan, Recipe
from .torchvision_import import import_torchvision

_TENSOR_FILTERS = ("bilinear", "bicubic")


class _TorchvisionPlan(Plan):
    """Resize, crop, convert, normalise as transforms v2 does, then copy into `out`."""

    def __init__(self, recipe: Recipe, height: int, width: int, channels: int, from_pil: bool) -> None:
        super().__init__(recipe, height, width, channels)
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        self._torch, self._functional, self._from_pil = torch, functional, from_pil
        size = [recipe.resize] if isinstance(recipe.resize, int) else recipe.resize
        self._resize = None if size is None else list(size)
        self._interpolation = InterpolationMode(recipe.filter)
        self._crop = None if recipe.crop_size is None else list(recipe.crop_size)

    def _run(self, pixels: Image, out: Output) -> None:
        functional = self._functional
        source = self._as_pil(pixels) if self._from_pil else self._as_tensor(pixels)
        with self._torch.inference_mode():
            if self._resize is not None:
                source = functional.resize(source, self._resize, self._interpolation, self.recipe.max_size)
            if self._crop is not None:
                source = functional.center_crop(source, self._crop)
            if self._from_pil:
                source = functional.pil_to_tensor(source)
            tensor = functional.to_dtype(source, self._torch.float32, scale=True)
            tensor = functional.normalize(tensor, list(self.recipe.mean), list(self.recipe.std), inplace=True)
            target = self._torch.from_numpy(out)
            target.copy_(tensor if self.recipe.layout == "chw" else tensor.permute(1, 2, 0))

    def _as_tensor(self, pixels: Image) -> Any:
        """uint8 (channels, height, width) with the memory of `pixels`, which makes it channels-last."""
        if any(stride < 0 for stride in pixels.strides):
            pixels = np.ascontiguousarray(pixels)
        tensor = self._torch.from_numpy(pixels if pixels.flags.writeable else _writable(pixels)).permute(2, 0, 1)
        if self.channels == 1 and self.recipe.channels > 1:
            return tensor.expand(self.recipe.channels, -1, -1)
        return tensor[: self.recipe.channels]

    def _as_pil(self, pixels: Image) -> Any:
        from PIL import Image as PilImage

        image = PilImage.fromarray(pixels[:, :, 0] if self.channels == 1 else pixels)
        return image.convert({1: "L", 3: "RGB", 4: "RGBA"}[self.recipe.channels])


class TorchvisionBackend(Backend):
    """transforms v2 on a uint8 channels-last tensor: torchvision's fastest path. Uses torch's current thread count."""

    name: ClassVar[str] = "torchvision"
    _from_pil: ClassVar[bool] = False

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        if not self._from_pil and recipe.resize is not None and recipe.filter not in _TENSOR_FILTERS:
            raise BackendUnavailable(f"{self.name}: no {recipe.filter} filter for tensors, only for PIL images")
        began = time.perf_counter()
        self._module = import_torchvision()
        from torchvision.transforms.v2 import functional  # noqa: F401

        self._load_s = time.perf_counter() - began

    @property
    def effective(self) -> dict[str, Any]:
        """Versions, torch's threads and the instruction set that its kernels chose."""
        import torch

        return {
            "torch": str(torch.__version__),
            "torchvision": str(self._module.__version__),
            "threads": torch.get_num_threads(),
            "simd": torch.backends.cpu.get_cpu_capability().lower(),
        }

    def warm_up(self) -> dict[str, float]:
        """Run once on a small image, so that lazy initialisation is done."""
        began = time.perf_counter()
        image = np.zeros((32, 32, 3 if self.recipe.channels == 3 else self.recipe.channels), dtype=np.uint8)
        self.run(image, np.empty(self.recipe.output_shape_for(32, 32), dtype=np.float32))
        return {"load": self._load_s, "first_call": time.perf_counter() - began}

    def _make_plan(self, height: int, width: int, channels: int) -> Plan:
        return _TorchvisionPlan(self.recipe, height, width, channels, self._from_pil)


class TorchvisionPilBackend(TorchvisionBackend):
    """transforms v2 on a PIL image: what most training and serving code runs."""

    name: ClassVar[str] = "torchvision-pil"
    _from_pil: ClassVar[bool] = True


def _writable(pixels: Image) -> Image:
    """The same memory as an array that claims to be writable: torch knows no other, and is not going to write."""
    interface = dict(pixels.__array_interface__)
    interface["data"] = (interface["data"][0], False)
    view: Image = np.asarray(type("Memory", (), {"__array_interface__": interface, "kept": pixels})())
    return view
