"""torch eager, and what every runtime of torch has in common: threads, precision, memory format, device."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.host.cpu import simd
from harness.host.files import ROOT, text
from harness.stages.inference.base import Setup, refused_bf16
from harness.stages.inference.models import pick, torch_module


class TorchRuntime:
    """A module, called eagerly. A batch that is contiguous float32 on the CPU is read in place."""

    inputs: NDArray[np.float32]
    part_ns: Sequence[int] = ()

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._options = setup.options

    def open(self) -> Mapping[str, float]:
        import torch

        self._torch = torch
        set_threads(torch, self._options.threads)
        self._cuda: Any = None
        if self._options.device == "cuda":
            from harness.stages.inference.cuda import Device

            self._cuda = Device(torch, (self._setup.max_batch, *self._setup.shape))
            self.inputs = self._cuda.inputs
        else:
            self.inputs = np.zeros((self._setup.max_batch, *self._setup.shape), np.float32)
        self._dtype = torch.float32
        if self._options.precision == "bf16":
            self._refuse_slow_bf16()
            self._dtype = torch.bfloat16
        self._output: int | str = self._options.output
        self._format = torch.channels_last if self._options.channels_last else torch.contiguous_format
        self._device = "cpu" if self._cuda is None else self._cuda.name
        self._module, steps = self._load()
        if self._cuda is not None:
            torch.cuda.synchronize()  # the weights are there before another stream reads them
        return steps

    def _load(self) -> tuple[Any, Mapping[str, float]]:
        """The callable for a batch, and the seconds that each step of making it took, besides loading."""
        return self._placed(torch_module(self._setup)), {}

    def _placed(self, module: Any) -> Any:
        """A module on its device, in its precision and memory format."""
        return module.to(device=self._device, dtype=self._dtype, memory_format=self._format)

    def _refuse_slow_bf16(self) -> None:
        if self._cuda is not None:
            missing = None if self._torch.cuda.is_bf16_supported(including_emulation=False) else "this GPU"
        else:
            found = simd(text(ROOT, "proc/cpuinfo") or "", platform.machine())["bf16"]
            missing = None if found else "this processor (neither avx512_bf16 nor amx_bf16)"
        if missing:
            raise refused_bf16(missing)

    def _answer(self, batch: Any) -> Any:
        """The answers (n, outputs), float32, to a tensor where the module is."""
        batch = batch.to(dtype=self._dtype, memory_format=self._format)
        return pick(self._module(batch), self._output).float()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            if self._cuda is not None:
                result, self.part_ns = self._cuda.run(self._answer, batch)
            else:
                result = self._answer(self._torch.from_numpy(batch)).numpy()
        return result  # type: ignore[no-any-return]

    def effective(self) -> Mapping[str, Any]:
        torch = self._torch
        return {
            "runtime": f"{self._options.runtime} {torch.__version__}",
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "precision": self._precision(),
            **({"device": "cpu"} if self._cuda is None else self._cuda.effective()),
        }

    def _precision(self) -> str:
        """The dtype of the weights, read back."""
        parameter = next(self._module.parameters(), None)
        dtype = self._dtype if parameter is None else parameter.dtype
        return {"bfloat16": "bf16"}.get(name := str(dtype).removeprefix("torch."), name)

    def close(self) -> None:
        del self._module


def set_threads(torch: Any, threads: int) -> None:
    """Compute threads within an operator that this thread calls, and none across operators."""
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # may be set only once a process, and another worker may share it
        torch.set_num_interop_threads(1)
