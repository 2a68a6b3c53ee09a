"""A CUDA device for torch: pinned buffers, a stream of its own, and events around each step.

The host waits for the stream before it takes the stamp `done`, so that service holds the kernels and not their launch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError

MEGABYTE = 1e6


class Device:
    """The current CUDA device. `inputs`: pinned room for a batch, as an array. Raises ScenarioError without one."""

    def __init__(self, torch: Any, shape: tuple[int, ...]) -> None:
        if not torch.cuda.is_available():
            reason = "this torch is built without CUDA" if torch.version.cuda is None else "no GPU is usable"
            raise ScenarioError(
                f"device: cuda is refused: {reason} (torch {torch.__version__})", where="stages.inference.device"
            )
        self._torch = torch
        self.name = f"cuda:{torch.cuda.current_device()}"
        self._stream = torch.cuda.Stream()
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(4)]
        self._pinned = torch.zeros(shape, pin_memory=True)
        self.inputs: NDArray[np.float32] = self._pinned.numpy()
        self._outputs: Any = None
        torch.cuda.reset_peak_memory_stats()

    def run(
        self, answer: Callable[[Any], Any], batch: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
        """The answers to a batch on the host, and the ns that each of CUDA_PARTS took by the device's clock.

        A batch that does not lie in `inputs` is copied there first: only from pinned memory does a copy leave the host
        alone.
        """
        count = len(batch)
        if not np.may_share_memory(batch, self.inputs):
            self.inputs[:count] = batch
        began, arrived, computed, ended = self._events
        with self._torch.cuda.stream(self._stream):
            began.record()
            on_device = self._pinned[:count].to(self.name, non_blocking=True)
            arrived.record()
            result = answer(on_device)
            computed.record()
            if self._outputs is None or self._outputs.shape[1:] != result.shape[1:]:
                room = (len(self._pinned), *result.shape[1:])
                self._outputs = self._torch.empty(room, dtype=result.dtype, pin_memory=True)
            self._outputs[:count].copy_(result, non_blocking=True)
            ended.record()
        self._stream.synchronize()
        steps = (began.elapsed_time(arrived), arrived.elapsed_time(computed), computed.elapsed_time(ended))
        parts = tuple(round(ms * 1e6) for ms in steps)
        return self._outputs[:count].numpy(), parts

    def effective(self) -> Mapping[str, Any]:
        """Which device, and the most of its memory that this process has had: warm-up has run every batch size."""
        cuda = self._torch.cuda
        return {
            "device": cuda.get_device_name(),
            "cuda": self._torch.version.cuda,
            "tf32": self._torch.backends.cuda.matmul.allow_tf32 or self._torch.backends.cudnn.allow_tf32,
            "peak_device_mb": cuda.max_memory_allocated() / MEGABYTE,
            "reserved_device_mb": cuda.max_memory_reserved() / MEGABYTE,
        }
