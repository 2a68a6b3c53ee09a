"""A whole JPEG to a tensor: Pillow and torchvision against simplejpeg and the kernels."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from ..contract import Backend, Image, Recipe
from ..decode import decode, scaled_decode_difference
from .timing import interleave

BASELINE = "Pillow decode + torchvision-pil"


def encoded_pipelines(image: Image, recipe: Recipe, backends: dict[str, Backend], seconds: float) -> dict[str, Any]:
    """Times by pipeline, the ratio of the baseline's median to each, and what scaled decoding changes in the output."""
    from PIL import Image as PilImage

    buffer = io.BytesIO()
    PilImage.fromarray(image).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    out = np.empty(recipe.output_shape, dtype=np.float32)
    calls: dict[str, Callable[[], object]] = {}
    if "torchvision-pil" in backends:
        transform = _torchvision_transform(recipe)
        calls[BASELINE] = lambda: transform(PilImage.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB"))
    for name in ("numba", "native"):
        if name in backends:
            calls[f"decode + {name}"] = _pipeline(data, backends[name], out, scaled=False)
            calls[f"scaled decode + {name}"] = _pipeline(data, backends[name], out, scaled=True)
    timings = interleave(calls, seconds)
    results: dict[str, Any] = {}
    for name, timing in timings.items():
        ratio = timings[BASELINE].median_ms / timing.median_ms if BASELINE in timings else None
        results[name] = {**asdict(timing), "ratio_to_baseline": ratio}
    return {
        "image": f"{image.shape[1]}x{image.shape[0]} JPEG, quality 90, {len(data)} bytes",
        "pipelines": results,
        "scaled_decode_difference": scaled_decode_difference(data, backends["numba"]) if "numba" in backends else None,
    }


def _torchvision_transform(recipe: Recipe) -> Any:
    import torch
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.Resize(recipe.resize),
            v2.CenterCrop(list(recipe.crop_size or ())),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(recipe.mean), list(recipe.std)),
        ]
    )


def _pipeline(data: bytes, backend: Backend, out: Any, scaled: bool) -> Callable[[], object]:
    scaled_for = backend.recipe if scaled else None
    return lambda: backend.run(decode(data, scaled_for=scaled_for), out)
