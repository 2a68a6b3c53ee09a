"""The contract of a runtime: load a model, run batches of it, say what is in effect.

Whoever measures a model (`InferenceStage`), scores it or profiles it goes through this, so that all see the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.registry import attribute
from harness.stages.base import StageContext, Tensor
from harness.stages.inference.options import Inference
from harness.stages.inference.runtimes import RUNTIMES
from harness.stages.preprocess import Preprocess


@dataclass(frozen=True)
class Setup:
    """What a runtime is opened from.

    shape: (3, height, width) of an input. max_batch: the largest batch that it will be given. seed: of random weights.
    preprocess: the preprocessing in front of the model, also for the quantisation images of int8. profiling: a folder
    for the times of operators, which the runtime keeps if it is given.
    """

    options: Inference
    shape: tuple[int, ...]
    max_batch: int
    seed: int
    preprocess: Preprocess | None = None
    profiling: str = ""

    @classmethod
    def of(cls, context: StageContext) -> Setup:
        """What the runtime of an inference stage is opened from."""
        assert isinstance(context.input, Tensor)
        before = [options for options in context.upstream if isinstance(options, Preprocess)]
        return cls(
            options=context.options,
            shape=context.input.shape,
            max_batch=context.max_batch,
            seed=int(context.seed.generate_state(1)[0]),
            preprocess=before[-1] if before else None,
            profiling=context.sampling.folder if context.sampling else "",
        )


class Runtime(Protocol):
    """A model in a runtime; used from the one thread that opened it."""

    inputs: NDArray[np.float32]
    """Room for a batch, shape (max_batch, 3, height, width), once it is open: a runtime on a device has it pinned."""
    part_ns: Sequence[int]
    """After `run` on a device: how long each of CUDA_PARTS took. Empty on a CPU."""

    def open(self) -> Mapping[str, float]:
        """Import, load and compile; return the seconds of each step by name. Raises ScenarioError."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The answers (n, outputs) to a C-contiguous batch (n, 3, height, width), best a slice of `inputs`.

        The result stays valid until the next call.
        """

    def effective(self) -> Mapping[str, Any]:
        """What is in effect, read back: runtime and version, threads, precision, device."""

    def close(self) -> None:
        """Release the model."""


def runtime_of(setup: Setup) -> Runtime:
    """The runtime that the options name, not yet open."""
    runtime: Runtime = attribute(f"harness.stages.inference.{RUNTIMES[setup.options.runtime].implementation}")(setup)
    return runtime


def first_line(error: BaseException) -> str:
    """The first line of a library's error; some add pages."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:300]


def os_threads() -> int | None:
    """How many threads this process has now, None where the kernel does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else None


def refused_bf16(missing: str) -> ScenarioError:
    """The error where bf16 would be emulated and slower than float32."""
    return ScenarioError(
        f"bf16 is refused: {missing} does not compute in it",
        where="stages.inference.precision",
        hint="Use precision: float32 or int8.",
    )
