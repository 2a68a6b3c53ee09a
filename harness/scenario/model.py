"""Every key of a scenario: its type, default and meaning. The JSON Schema and the reference come from here.

A scenario says what the user asked for. What follows from it (shapes, due times, seeds) is the Plan's. The kinds of
stages, loads and executors are those of harness.registry, plug-ins among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, Union

from pydantic import Field, field_validator, model_validator

from harness.arrivals import Bursts, Closed, Constant, Gamma, OpenLoad, Poisson, Trace
from harness.keys import MAX_CAPACITY, NAME, Keys
from harness.registry import ARRIVALS, EXECUTORS, STAGES
from harness.stages import Batch, StageOptions
from harness.stages.delay import Delay, Stall
from harness.stages.inference.options import Inference, OwnModel, QuantisationImages
from harness.stages.null import Null
from harness.stages.postprocess import Postprocess
from harness.stages.preprocess import Preprocess
from harness.stages.source import Source
from harness.units import Duration

__all__ = [
    "MAX_CAPACITY",
    "Batch",
    "Bursts",
    "Closed",
    "Constant",
    "Deadlines",
    "Delay",
    "Gamma",
    "Inference",
    "Load",
    "Null",
    "OpenLoad",
    "OwnModel",
    "Poisson",
    "Postprocess",
    "Preprocess",
    "QuantisationImages",
    "Scenario",
    "Slo",
    "Source",
    "Stage",
    "StageOptions",
    "Stall",
    "Trace",
]

DEFAULT_EXECUTOR = "process"

if TYPE_CHECKING:
    Stage: TypeAlias = StageOptions
    Load: TypeAlias = OpenLoad | Closed
    ExecutorName: TypeAlias = str
else:
    Stage = Annotated[Union[tuple(STAGES.kinds.values())], Field(discriminator="kind")]  # noqa: UP007
    Load = Annotated[Union[tuple(ARRIVALS.kinds.values())], Field(discriminator="arrivals")]  # noqa: UP007
    ExecutorName = Literal[EXECUTORS.names]


class Slo(Keys):
    """Limits on e2e latency. A run that misses one ends with exit code 3. Requests that were lost (dropped, failed, not
    ended when the run did) count as infinitely late."""

    p50: Duration | None = None
    p90: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    p999: Duration | None = None
    max: Duration | None = None

    @property
    def limits_ns(self) -> dict[str, int]:
        """The limits that are set, by the statistic that they limit."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: limit for name, limit in given.items() if limit is not None}


class Deadlines(Keys):
    """A run that hangs ends."""

    startup: Duration = Field(default=180_000_000_000, gt=0)
    """Until every worker is ready: imports, loading, compiling, first call."""
    progress: Duration = Field(default=60_000_000_000, gt=0)
    """Between two completions while requests are in flight."""


class Scenario(Keys):
    """A pipeline, the images and the load on it."""

    name: str = Field(pattern=NAME, max_length=100)
    """Results are saved under it."""
    description: str = ""
    """One line for people."""
    executor: ExecutorName = DEFAULT_EXECUTOR
    """`process`: a process for the producer and for each worker. `asyncio`: one process, compute in threads."""
    source: Source = Source()
    """The images."""
    load: Load
    """When requests arrive."""
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=32, strict=False)
    """In order; each a mapping with one key, its kind."""
    on_full: Literal["block", "shed"] = "block"
    """A request that is due while the first channel is full waits (`block`) or is dropped (`shed`)."""
    slo: Slo | None = None
    """Limits on e2e latency."""
    deadlines: Deadlines = Deadlines()
    """When to give up."""

    @model_validator(mode="before")
    @classmethod
    def _name_stages(cls, raw: Any) -> Any:
        """Give each stage its kind as its name, unless it has one."""
        if isinstance(raw, dict) and isinstance(raw.get("stages"), list | tuple):
            stages = [
                {**s, "name": s.get("name") or s.get("kind")} if isinstance(s, dict) and "kind" in s else s
                for s in raw["stages"]
            ]
            return {**raw, "stages": stages}
        return raw

    @field_validator("executor")
    @classmethod
    def _executor_loads(cls, name: str) -> str:
        if problem := EXECUTORS.problem(name):
            raise ValueError(problem)
        return name

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [s.name for s in self.stages]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise ValueError(f"two stages are called {twice!r}: give one of them a name of its own")
        return self
