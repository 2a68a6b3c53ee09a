"""What a stage is: what goes in, what comes out, and the calls that an executor makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tensor:
    """A payload of fixed shape. dtype is anything that np.dtype takes."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def nbytes(self) -> int:
        """Bytes of one payload."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)

    def __str__(self) -> str:
        dtype = np.dtype(self.dtype)
        return f"{'+'.join(dtype.names) if dtype.names else dtype.name} {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True)
class Images:
    """A payload by reference: uint8 HWC RGB pixels (`raw`) or the bytes of a file (`encoded`)."""

    form: Literal["raw", "encoded"]

    def __str__(self) -> str:
        return f"{self.form} images"


Payload = Tensor | Images


@dataclass(frozen=True)
class StageSpec:
    """What a stage will make of its input, known before anything runs. parts: the named parts of its service."""

    output: Tensor
    parts: tuple[str, ...] = ()
    reads_images: bool = False


@dataclass(frozen=True)
class Sampling:
    """What to see of a stage from within (harness.stages.profiling): so many calls from the first whose row is at least
    from_row on, written into a folder. flame: its Python code, too.
    """

    folder: str
    from_row: int
    calls: int
    flame: bool = False


@dataclass(frozen=True)
class StageContext:
    """What a stage is built from. seed: of this stage alone. first_measured: the row of the first measured request.
    images: the ImageSet of the run, for a stage that reads it. upstream: the options of the stages in front of it.
    sampling: for a stage that is profiled.
    """

    options: Any
    input: Payload
    output: Tensor
    parts: tuple[str, ...]
    seed: np.random.SeedSequence
    max_batch: int = 1
    first_measured: int = 0
    images: Any = None
    max_pixels: int = 100_000_000
    upstream: tuple[Any, ...] = ()
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Opened:
    """What opening a stage cost, in seconds by part (load, compile, first_call), and what is then in effect."""

    startup_s: Mapping[str, float] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)


class RequestError(Exception):
    """This request cannot be served, others can: it fails with a reason and the run goes on."""

    @property
    def reason(self) -> str:
        """What it was raised with, else the name of its class: never empty."""
        return str(self) or type(self).__name__


class Stage(Protocol):
    """One worker's instance of a stage. `open` comes first; then `process` or `process_batch`, one at a time."""

    part_ns: Sequence[int]
    """After `process` or `process_batch`: how long each of the spec's parts took, of the whole batch."""

    def open(self) -> Opened:
        """Load, compile and make a first call. May raise anything: the run then does not start."""

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        """Serve one request: read `item`, write all of `out`; return its answer, or -1. Raises RequestError."""

    def close(self) -> None:
        """Let go of what `open` took."""


class BatchingStage(Stage, Protocol):
    """A stage whose options allow batches larger than 1."""

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        """Serve several together; return a result each, which stays valid until the next call."""
