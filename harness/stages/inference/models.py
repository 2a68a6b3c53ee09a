"""Models of torch by name or factory, with their weights: the same in every runtime that they are exported to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.errors import ScenarioError
from harness.kernels.torchvision_import import import_torchvision
from harness.stages.factory import call
from harness.stages.inference.base import Setup, first_line
from harness.stages.inference.options import Inference, OwnModel


def torch_module(setup: Setup) -> Any:
    """The torch.nn.Module of a model by name or factory, float32, in eval mode. Raises ScenarioError.

    Random weights depend on nothing but the seed.
    """
    import torch

    options = setup.options
    torch.manual_seed(setup.seed)
    module = _made(options.model) if isinstance(options.model, OwnModel) else _named(options)
    if options.weights not in ("random", "default"):
        try:
            module.load_state_dict(torch.load(Path(options.weights), map_location="cpu", weights_only=True))
        except Exception as error:  # what a file of any content can raise in torch is not bounded
            raise ScenarioError(
                f"{options.weights} is no state dict of {options.model_name}: {first_line(error)}"
            ) from None
    return module.float().eval().requires_grad_(False)


def pick(outputs: Any, output: int | str) -> Any:
    """The output (n, outputs) that counts, of what a model returned: a tensor, a sequence of tensors, or a mapping.

    Raises ScenarioError when it has no such output.
    """
    if isinstance(outputs, Mapping):
        names = [str(name) for name in outputs]
        values = list(outputs.values())
        place = names.index(output) if output in names else output
    else:
        values = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
        names, place = [], output
    if not isinstance(place, int) or place >= len(values):
        known = f" ({', '.join(names)})" if names else ""
        raise ScenarioError(
            f"the model has no output {output!r}: it has {len(values)}{known}", where="stages.inference.output"
        )
    answer = values[place]
    return answer if answer.dim() == 2 else answer.reshape(answer.shape[0], -1)


def with_one_output(module: Any, output: int | str) -> Any:
    """A module that gives only the answer: what is exported."""
    import torch

    class OneOutput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, images: Any) -> Any:
            return pick(self.module(images), output)

    return OneOutput().eval()


def _made(model: OwnModel) -> Any:
    """What the user's factory returns."""
    import torch

    module = call(model.value)
    if not isinstance(module, torch.nn.Module):
        raise ScenarioError(f"{model.value} returned {type(module).__name__} and must return a torch.nn.Module")
    return module


def _named(options: Inference) -> Any:
    """A model of torchvision."""
    models = import_torchvision().models
    names = models.list_models(module=models)
    if options.model not in names:
        near = get_close_matches(str(options.model), names, n=4) or names
        raise ScenarioError(
            f"torchvision has no classification model {options.model!r}",
            hint=f"{'Near it are' if near is not names else 'It has'} {', '.join(near)}.",
        )
    own_classes = {} if options.weights == "default" else {"num_classes": options.classes}
    try:
        return models.get_model(
            options.model, weights="DEFAULT" if options.weights == "default" else None, **own_classes
        )
    except OSError as error:
        raise ScenarioError(
            f"the pretrained weights of {options.model} are not in the hub's cache and cannot be downloaded: {error}",
            hint="Set weights to a file of a state dict, or to random: latency does not depend on them.",
        ) from None
