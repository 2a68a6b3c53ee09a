"""torch.export: a program from a .pt2 file, or exported at start-up, run as a graph of torch operators."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError, ScenarioError
from harness.stages.inference import pt2
from harness.stages.inference.base import first_line
from harness.stages.inference.models import torch_module, with_one_output
from harness.stages.inference.torch import TorchRuntime


class ExportedRuntime(TorchRuntime):
    """The module of an ExportedProgram."""

    def _load(self) -> tuple[Any, Mapping[str, float]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            if isinstance(self._options.model, str) or self._options.form == "factory":
                plain = with_one_output(torch_module(self._setup), self._output)
                self._output = 0
                begun = time.perf_counter()
                program = exported(plain, self._setup.shape, self._setup.max_batch)
                took = time.perf_counter() - begun
            else:
                program, took = pt2.load(self._options.model.value), 0.0
            return program.module(), {"export": took} if took else {}


def exported(module: Any, shape: tuple[int, ...], max_batch: int) -> Any:
    """An ExportedProgram that takes batches from 1 to max_batch. Raises ScenarioError."""
    import torch

    several = max_batch > 1
    batch = torch.export.Dim("batch", min=1, max=max(2, max_batch))
    try:
        return torch.export.export(
            module, (torch.zeros((1 + several, *shape)),), dynamic_shapes=({0: batch},) if several else None
        )
    except HarnessError:
        raise
    except Exception as error:
        raise ScenarioError(
            f"the model cannot be exported: {first_line(error)}", where="stages.inference.model"
        ) from None
