"""A classification model of torchvision in torch eager mode."""

from __future__ import annotations

import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.kernels.torchvision_import import import_torchvision
from harness.scenario.model import Inference
from harness.stages.base import Opened, StageContext


class TorchStage:
    """The model with a preallocated batch of inputs. A batch of one reads its slot in place."""

    part_ns: Sequence[int] = ()

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._options: Inference = context.options

    def open(self) -> Opened:
        begun = time.perf_counter()
        import torch

        o = self._options
        torch.set_num_threads(o.threads)
        if torch.get_num_interop_threads() != 1:  # may be set only once a process, and another worker may share it
            torch.set_num_interop_threads(1)
        self._torch = torch
        self._model = self._load()
        shape = (self._context.max_batch, *self._context.input.shape)  # type: ignore[union-attr]
        self._format = torch.channels_last if o.channels_last else torch.contiguous_format
        self._model = self._model.to(memory_format=self._format)
        self._batch = torch.zeros(shape)
        self._batch_view = self._batch.numpy()
        loaded = time.perf_counter()
        first = self._infer(self._batch[:1])
        if first.shape != (1, o.classes):
            raise ScenarioError(
                f"{o.model} gives {tuple(first.shape)[1:]} outputs, and classes is {o.classes}",
                where="stages.inference.classes",
                hint="Set classes to the length of the model's output.",
            )
        called = time.perf_counter()
        for size in range(2, self._context.max_batch + 1):
            self._infer(self._batch[:size])
        warmed = time.perf_counter()
        figures = {"load": loaded - begun, "first_call": called - loaded, "warm_batches": warmed - called}
        effective = {
            "runtime": f"torch {torch.__version__}",
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "model": o.model,
            "weights": o.weights,
            "dtype": str(next(self._model.parameters()).dtype).removeprefix("torch."),
        }
        return Opened(figures, effective)

    def _load(self) -> Any:
        """Build the model and give it its weights. Raises ScenarioError."""
        torch, o = self._torch, self._options
        models = import_torchvision().models
        names = models.list_models(module=models)
        if o.model not in names:
            near = get_close_matches(o.model, names, n=4) or names
            raise ScenarioError(
                f"torchvision has no classification model {o.model!r}",
                hint=f"{'Near it are' if near is not names else 'It has'} {', '.join(near)}.",
            )
        torch.manual_seed(int(self._context.seed.generate_state(1)[0]))
        own_classes = {} if o.weights == "default" else {"num_classes": o.classes}
        try:
            model = models.get_model(o.model, weights="DEFAULT" if o.weights == "default" else None, **own_classes)
        except OSError as error:
            raise ScenarioError(
                f"the pretrained weights of {o.model} are not in the hub's cache and cannot be downloaded: {error}",
                hint="Set weights to a file of a state dict, or to random: latency does not depend on them.",
            ) from None
        if o.weights not in ("random", "default"):
            try:
                model.load_state_dict(torch.load(Path(o.weights), map_location="cpu", weights_only=True))
            except Exception as error:  # what a file of any content can raise in torch is not bounded
                first_line = (str(error).splitlines() or [type(error).__name__])[0]
                raise ScenarioError(f"{o.weights} is no state dict of {o.model}: {first_line}") from None
        return model.eval()

    def _infer(self, batch: Any) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            result: NDArray[np.float32] = self._model(batch.contiguous(memory_format=self._format)).numpy()
        return result

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        out[:] = self._infer(self._torch.from_numpy(item)[None])[0]
        return -1

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        for index, item in enumerate(items):
            self._batch_view[index] = item
        return list(self._infer(self._batch[: len(items)]))

    def close(self) -> None:
        del self._model
