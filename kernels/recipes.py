"""The preprocessing that torchvision's weights were trained for."""

from __future__ import annotations

from typing import Any

from .contract import KernelError, Recipe
from .torchvision_import import import_torchvision


def recipe_for(model_name: str, weights_name: str | None = None) -> Recipe:
    """Recipe of a torchvision classification model, by default of its best weights; downloads nothing.

    weights_name: such as "IMAGENET1K_V1". Raises KernelError for models without weights or with another preprocessing.
    """
    import_torchvision()
    from torchvision import models
    from torchvision.transforms._presets import ImageClassification

    try:
        all_weights = models.get_model_weights(model_name)
        weights = all_weights[weights_name] if weights_name is not None else all_weights.DEFAULT
    except (ValueError, KeyError, AttributeError) as error:
        raise KernelError(
            f"torchvision has no weights {weights_name or ''} for {model_name!r}".replace("  ", " ")
        ) from error
    preset: Any = weights.transforms()
    if not isinstance(preset, ImageClassification) or preset.antialias is False:
        raise KernelError(f"the preprocessing of {model_name} is not resize, crop, normalise: {preset!r}")
    return Recipe(
        resize=_size(preset.resize_size),
        crop=_size(preset.crop_size),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        filter=preset.interpolation.value,
    )


def _size(size: list[int]) -> int | tuple[int, int]:
    return size[0] if len(size) == 1 else (size[0], size[1])
