"""Every key of a scenario: its type, default and meaning. The JSON Schema and the reference come from here.

A scenario says what the user asked for. What follows from it (shapes, due times, seeds) is the Plan's. The kinds of
stages are in `stages`, the kinds of load in `loads`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.inference import Calibration, Inference, OwnModel
from harness.scenario.keys import MAX_CAPACITY, NAME, FileName, Keys
from harness.scenario.loads import Bursts, Closed, Constant, Gamma, Load, OpenLoad, Poisson, Trace
from harness.scenario.options import Batch, StageOptions
from harness.scenario.stages import Delay, Null, Postprocess, Preprocess, Stage, Stall
from harness.scenario.units import Duration

__all__ = [
    "MAX_CAPACITY",
    "Batch",
    "Bursts",
    "Calibration",
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
    "Scenario",
    "Slo",
    "Source",
    "Stage",
    "StageOptions",
    "Stall",
    "Trace",
]


class Source(Keys):
    """Where the images come from. They are in shared memory before the run starts; each request gets one, seeded."""

    images: Annotated[str, FileName(("photos", "synthetic"))] = "photos"
    """`photos` (eight that come with scikit-image), `synthetic` (noise), a folder, or a glob pattern; a relative one
    counts from the scenario file's folder. Files are JPEG, PNG, WebP, BMP, TIFF, GIF or PPM by their content; what
    cannot be read as one of these fails the requests that get it."""
    form: Literal["raw", "encoded"] = Field(default="raw", alias="as")
    """`raw`: decoded pixels. `encoded`: the file's bytes (`photos` and `synthetic` as JPEG of quality 90)."""
    height: int | None = Field(default=None, ge=1, le=65_535)
    """Height of synthetic images; photographs and files are fitted to it when it is given."""
    width: int | None = Field(default=None, ge=1, le=65_535)
    """Width, likewise."""
    count: int = Field(default=8, ge=1)
    """How many synthetic images to make."""
    max_pixels: int = Field(default=100_000_000, ge=1)
    """An image with more pixels is refused before the run. A picture that a preprocess stage's resize would make larger
    than this (a long, narrow one: resize is its short side) fails its request, with every backend."""

    @model_validator(mode="after")
    def _both_sides(self) -> Self:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width go together")
        if self.images == "synthetic" and self.height is None:
            raise ValueError("synthetic images need height and width")
        return self


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
    executor: Literal["process", "asyncio"] = "process"
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

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [s.name for s in self.stages]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise ValueError(f"two stages are called {twice!r}: give one of them a name of its own")
        return self
