"""torch.compile: inductor with frozen weights. Compiling is part of start-up; what it made is kept for others."""

from __future__ import annotations

import os
import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError, ScenarioError
from harness.stages.inference.base import first_line
from harness.stages.inference.cache import folder
from harness.stages.inference.torch import TorchRuntime


class CompiledRuntime(TorchRuntime):
    """Two graphs at most: one for a batch of 1, one for any larger batch."""

    def _load(self) -> tuple[Any, Mapping[str, float]]:
        compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            raise ScenarioError(
                f"torch.compile needs a C++ compiler, and there is no {compiler}",
                where="stages.inference.runtime",
                hint="Install g++, or name a compiler in the variable CXX; runtime: torch needs none.",
            )
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder("inductor")))
        plain, _ = super()._load()
        begun = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch deprecates in itself is not the user's
            from torch._inductor import config

            config.freezing = True
            config.cpp.threads = self._options.threads  # it stands in the code, and so in the key of the cache
            config.compile_threads = 1  # else a pool of processes would stay beside the measurement
            self._module = self._torch.compile(plain)
            for size in {1, min(2, self._setup.max_batch)}:
                self._compile(size)
        return self._module, {"compile": time.perf_counter() - begun}

    def _compile(self, size: int) -> None:
        """Make the graph for this batch size, or for every batch size from 2 on."""
        batch = self._torch.zeros((size, *self._setup.shape), device=self._device)
        if size > 1:
            self._torch._dynamo.mark_dynamic(batch, 0, min=2, max=max(2, self._setup.max_batch))
        try:
            with self._torch.inference_mode():
                self._answer(batch)
        except HarnessError:
            raise
        except Exception as error:
            raise ScenarioError(
                f"torch.compile cannot compile {self._options.model_name}: {first_line(error)}",
                where="stages.inference.runtime",
                hint="runtime: torch runs it as it is.",
            ) from None

    def _precision(self) -> str:
        return self._options.precision
