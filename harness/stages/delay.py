"""The stage that takes a time drawn from a distribution: its latencies are known from theory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.clock import SPIN_NS, now_ns, wait_until
from harness.errors import ScenarioError
from harness.keys import FileName, Keys
from harness.stages.base import Payload, Stage, StageContext, StageSpec, Tensor
from harness.stages.null import NullStage
from harness.stages.options import BatchingOptions
from harness.units import Duration, parse_duration

_BLOCK = 4096


class Stall(Keys):
    """One planted stall."""

    request: int = Field(ge=0)
    """The measured request that meets it, counted from 0."""
    duration: Duration
    """How much longer its service takes."""


class Delay(BatchingOptions):
    """Takes a time drawn from a distribution, seeded: a stage with a known answer."""

    given_services: ClassVar[bool] = True

    kind: Literal["delay"] = "delay"
    distribution: Literal["constant", "exponential", "lognormal", "empirical"] = "exponential"
    """Of the service time. One draw a request; a batch takes the draw of its first."""
    mean: Duration = 5_000_000
    """Mean service time."""
    cv: float = Field(default=1.0, ge=0)
    """Coefficient of variation (lognormal only)."""
    file: Annotated[str | None, FileName()] = None
    """Service times to draw from, one duration with its unit a line (empirical only). A relative name counts from the
    scenario file's folder."""
    wait: Literal["sleep", "spin"] = "sleep"
    """`sleep` leaves the core to others; `spin` burns it, as computing would."""
    stall: Stall | None = None
    """One request that takes much longer."""
    payload: int = Field(default=8, ge=8, le=2**31)
    """Bytes of the slot that it hands on."""

    @model_validator(mode="after")
    def _fits_distribution(self) -> Self:
        if (self.distribution == "empirical") != (self.file is not None):
            raise ValueError("a file of service times goes with distribution: empirical, and with no other")
        if self.distribution == "lognormal" and not self.mean:
            raise ValueError("a lognormal service time has a mean above 0")
        return self

    def spec(self, given: Payload) -> StageSpec:
        """Anything goes in; `payload` bytes come out."""
        if self.file is not None:
            empirical_times(self.file)
        return StageSpec(Tensor((self.payload,), np.uint8))

    def build(self, context: StageContext) -> Stage:
        """A timer."""
        return DelayStage(context)

    @property
    def computes(self) -> bool:
        """A sleeping one does not."""
        return self.wait == "spin"

    def services_ns(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Drawn as for a run, with a seed from `rng`."""
        times = ServiceTimes(self, np.random.SeedSequence(int(rng.integers(2**63))))
        return np.array([times[row] for row in range(count)], np.float64)


class DelayStage(NullStage):
    """Takes the time that `ServiceTimes` draws for the row, to within a timer's error; a batch, that of its first."""

    def __init__(self, context: StageContext) -> None:
        super().__init__(context)
        self._times = ServiceTimes(context.options, context.seed, context.first_measured)
        self._spin_ns = 1 << 62 if context.options.wait == "spin" else SPIN_NS

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        start_ns = now_ns()
        wait_until(start_ns + self._times[row], self._spin_ns)
        return -1

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        self.process(None, self._result, rows[0])
        return super().process_batch(items, rows)


class ServiceTimes:
    """The service time of each row in ns: a pure function of the options, the seed and the row."""

    def __init__(self, options: Delay, seed: np.random.SeedSequence, first_measured: int = 0) -> None:
        self._options = options
        self._seed = seed
        self._stalled = -1 if options.stall is None else first_measured + options.stall.request
        self._block = lru_cache(maxsize=4)(self._draw)

    def __getitem__(self, row: int) -> int:
        time_ns = int(self._block(row // _BLOCK)[row % _BLOCK])
        if row == self._stalled and self._options.stall is not None:
            time_ns += self._options.stall.duration
        return time_ns

    def _draw(self, block: int) -> NDArray[np.float64]:
        """Rows block * _BLOCK and on: each block has a generator of its own, so that rows can be asked in any order."""
        o = self._options
        rng = np.random.default_rng(
            np.random.SeedSequence(self._seed.entropy, spawn_key=(*self._seed.spawn_key, block))
        )
        if o.distribution == "constant":
            return np.full(_BLOCK, float(o.mean))
        if o.distribution == "exponential":
            return rng.exponential(o.mean, _BLOCK)
        if o.distribution == "lognormal":
            sigma2 = np.log1p(o.cv**2)
            return rng.lognormal(np.log(o.mean) - sigma2 / 2, np.sqrt(sigma2), _BLOCK)
        return rng.choice(empirical_times(str(o.file)), _BLOCK)


@lru_cache(maxsize=8)
def empirical_times(path: str) -> NDArray[np.float64]:
    """Read a file of service times, one duration with its unit a line; ns. Raises ScenarioError."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"cannot read the service times: {reason}", where=f"file: {path}") from None
    times = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                times.append(parse_duration(text))
            except ValueError as error:
                raise ScenarioError(f"expected {error}; got {text!r}", where=f"file: {path}:{number}") from None
    if not times:
        raise ScenarioError("it holds no service times", where=f"file: {path}")
    return np.array(times, np.float64)
