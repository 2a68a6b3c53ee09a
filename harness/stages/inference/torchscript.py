"""TorchScript: a file of torch.jit.save as it is, or a module traced at start-up.

The file is read by torch's C++ reader: its pickles can name tensors and TorchScript's own classes, nothing of Python.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from harness.errors import ScenarioError
from harness.stages.inference.base import first_line
from harness.stages.inference.models import torch_module, with_one_output
from harness.stages.inference.torch import TorchRuntime


class TorchScriptRuntime(TorchRuntime):
    """A ScriptModule, frozen where it was traced here."""

    def _load(self) -> tuple[Any, Mapping[str, float]]:
        torch, begun = self._torch, time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch advises against TorchScript as a whole
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
            if isinstance(self._options.model, str) or self._options.form == "factory":
                plain = with_one_output(torch_module(self._setup), self._options.output)
                begun = time.perf_counter()
                self._module = torch.jit.freeze(self._traced(plain))
                self._output = 0
            else:
                self._module = self._read(self._options.model.value)
                begun = time.perf_counter()
        return self._module, {"compile": time.perf_counter() - begun}

    def _traced(self, plain: Any) -> Any:
        try:
            with self._torch.inference_mode():
                return self._torch.jit.trace(plain, self._torch.zeros((1, *self._setup.shape)), check_trace=False)
        except Exception as error:
            raise ScenarioError(
                f"{self._options.model_name} cannot be traced: {first_line(error)}", where="stages.inference.model"
            ) from None

    def _read(self, path: str) -> Any:
        try:
            return self._torch.jit.load(path, map_location="cpu").eval()
        except Exception as error:  # what a file of any content can raise in torch is not bounded
            raise ScenarioError(
                f"{path} is no TorchScript file: {first_line(error)}", where="stages.inference.model.torchscript"
            ) from None
