"""Every key of a scenario: its type, default and meaning. The JSON Schema and the reference come from here.

A scenario says what the user asked for. What follows from it (shapes, due times, seeds) is the Plan's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.scenario.units import Duration, Rate

MAX_CAPACITY = 16_384  # 4-byte slot numbers that fit into a pipe of the usual 64 KiB


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Batch(_Keys):
    """Dynamic batching: a worker serves up to `max` requests together."""

    max: int = Field(default=1, ge=1, le=4096)
    """Largest batch. 1 turns batching off."""
    timeout: Duration = 0
    """How long the first request that a worker has taken waits for others, at most. 0 takes what is there."""


class StageOptions(_Keys):
    """What every stage has."""

    name: str = Field(default="", pattern=r"^[a-z][a-z0-9_]*$|^$")
    """How the stage is called in results and in `--set stages.NAME...`; its kind, unless given."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes (executor `process`) or threads (`asyncio`) that serve this stage."""
    capacity: int = Field(default=16, ge=1, le=MAX_CAPACITY)
    """Slots of the channel in front of the stage: requests that wait for it and those in its service hold one each."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Compute threads of each worker."""

    @property
    def batching(self) -> Batch:
        """The stage's batching; a stage without it serves one request at a time."""
        return Batch()


class _Batching(StageOptions):
    batch: Batch = Batch()
    """Dynamic batching."""

    @property
    def batching(self) -> Batch:
        return self.batch


class Preprocess(StageOptions):
    """Decode where the source is encoded, resize with antialiasing, centre crop, normalise: a float32 CHW tensor."""

    kind: Literal["preprocess"] = "preprocess"
    backend: Literal["numba", "native", "torchvision", "torchvision-pil"] = "numba"
    """`numba` and `native` are this project's kernels; `torchvision` (uint8 tensor) and `torchvision-pil` the baselines."""
    resize: int | None = Field(default=256, ge=1, le=65_535)
    """Length of the short side after the resize, in pixels; null leaves the image as it is."""
    crop: int = Field(default=224, ge=1, le=65_535)
    """Side of the centre crop, in pixels: what the model sees."""
    mean: tuple[float, float, float] = Field(default=(0.485, 0.456, 0.406), strict=False)
    """Subtracted from each channel, of values scaled to 0..1."""
    std: tuple[float, float, float] = Field(default=(0.229, 0.224, 0.225), strict=False)
    """Each channel is divided by this."""


class Inference(_Batching):
    """A classification model."""

    kind: Literal["inference"] = "inference"
    runtime: Literal["torch"] = "torch"
    """What executes the model."""
    model: str = "resnet18"
    """Any classification model of torchvision, by name."""
    weights: str = "random"
    """`random` (seeded), `default` (the pretrained ones, where they are in the hub's cache), or a file of a state dict."""
    classes: int = Field(default=1000, ge=1)
    """Length of the model's output."""
    channels_last: bool = False
    """Keep activations in the channels-last memory format."""


class Postprocess(StageOptions):
    """Softmax, and the `top_k` most probable classes."""

    kind: Literal["postprocess"] = "postprocess"
    top_k: int = Field(default=5, ge=1, le=1000)
    """How many classes to keep."""


class Null(_Batching):
    """Does nothing, at the full cost of the pipeline around it: measures the instrument."""

    kind: Literal["null"] = "null"
    payload: int = Field(default=8, ge=8, le=2**31)
    """Bytes of the slot that it hands on."""


class Stall(_Keys):
    """One planted stall."""

    request: int = Field(ge=0)
    """The measured request that meets it, counted from 0."""
    duration: Duration
    """How much longer its service takes."""


class Delay(_Batching):
    """Takes a time drawn from a distribution, seeded: a stage with a known answer."""

    kind: Literal["delay"] = "delay"
    distribution: Literal["constant", "exponential", "lognormal", "empirical"] = "exponential"
    """Of the service time. One draw a request; a batch takes the draw of its first."""
    mean: Duration = 5_000_000
    """Mean service time."""
    cv: float = Field(default=1.0, ge=0)
    """Coefficient of variation (lognormal only)."""
    file: str | None = None
    """Service times to draw from, one duration with its unit a line (empirical only)."""
    wait: Literal["sleep", "spin"] = "sleep"
    """`sleep` leaves the core to others; `spin` burns it, as computing would."""
    stall: Stall | None = None
    """One request that takes much longer."""
    payload: int = Field(default=8, ge=8, le=2**31)
    """Bytes of the slot that it hands on."""

    @model_validator(mode="after")
    def _file_is_for_empirical(self) -> Self:
        if (self.distribution == "empirical") != (self.file is not None):
            raise ValueError("a file of service times goes with distribution: empirical, and with no other")
        return self


Stage = Annotated[Preprocess | Inference | Postprocess | Null | Delay, Field(discriminator="kind")]


class Source(_Keys):
    """Where the images come from. They are in shared memory before the run starts; each request gets one, seeded."""

    images: str = "photos"
    """`photos` (eight that come with scikit-image), `synthetic` (noise), a folder, or a glob pattern."""
    form: Literal["raw", "encoded"] = Field(default="raw", alias="as")
    """`raw`: decoded pixels. `encoded`: the file's bytes (`photos` and `synthetic` as JPEG of quality 90)."""
    height: int | None = Field(default=None, ge=1, le=65_535)
    """Height of synthetic images; photographs and files are fitted to it when it is given."""
    width: int | None = Field(default=None, ge=1, le=65_535)
    """Width, likewise."""
    count: int = Field(default=8, ge=1)
    """How many synthetic images to make."""
    max_pixels: int = Field(default=100_000_000, ge=1)
    """An image with more pixels is refused before the run."""

    @model_validator(mode="after")
    def _both_sides(self) -> Self:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width go together")
        if self.images == "synthetic" and self.height is None:
            raise ValueError("synthetic images need height and width")
        return self


class _AnyLoad(_Keys):
    requests: int | None = Field(default=None, ge=1, le=50_000_000)
    """Measured requests. Give this or `duration`."""
    duration: Duration | None = None
    """Time during which requests arrive. Give this or `requests`."""
    warmup: int = Field(default=20, ge=0)
    """Requests that run first, under the same load, and are kept apart."""
    seed: int = Field(default=1, ge=0)
    """Of everything that is drawn: arrivals, images, service times and random weights each get a seed of their own."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.requests is not None and self.duration is not None:
            raise ValueError("requests and duration exclude one another")
        if self.requests is None and self.duration is None and not isinstance(self, Trace):
            raise ValueError("requests or duration is needed")
        return self


class _Open(_AnyLoad):
    rate: Rate | None = None
    """Offered load. Give this or `utilisation`."""
    utilisation: float | None = Field(default=None, gt=0, le=10)
    """Offered load as a fraction of the capacity that a short saturated calibration finds first, on this machine."""
    calibration: Duration = 4_000_000_000
    """How long that calibration saturates the pipeline."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.rate is not None and self.utilisation is not None:
            raise ValueError("rate and utilisation exclude one another")
        if self.rate is None and self.utilisation is None and not isinstance(self, Trace):
            raise ValueError("rate (such as 20/s) or utilisation (such as 0.6) is needed")
        return self


class Constant(_Open):
    """Arrivals at equal distances."""

    arrivals: Literal["constant"] = "constant"


class Poisson(_Open):
    """Independent arrivals: exponential gaps."""

    arrivals: Literal["poisson"] = "poisson"


class Gamma(_Open):
    """Gamma gaps: more regular than poisson with `cv` below 1, burstier above."""

    arrivals: Literal["gamma"] = "gamma"
    cv: float = Field(gt=0, le=100)
    """Coefficient of variation of the gaps."""


class Bursts(_Open):
    """On and off periods of exponential length; poisson arrivals in the on periods (interrupted Poisson process)."""

    arrivals: Literal["bursts"] = "bursts"
    on_time: Duration = 100_000_000
    """Mean length of an on period."""
    off_time: Duration = 400_000_000
    """Mean length of an off period. `rate` stays the mean over both."""


class Trace(_Open):
    """Due times from a file. `rate` or `utilisation`, when given, stretches them to that mean rate."""

    arrivals: Literal["trace"] = "trace"
    file: str
    """Seconds since the start, one a line, ascending; `#` starts a comment."""


class Closed(_AnyLoad):
    """A fixed number of requests in flight: the next is due when one completes."""

    arrivals: Literal["closed"] = "closed"
    concurrency: int = Field(default=1, ge=1, le=MAX_CAPACITY)
    """Requests in flight. 1 is the classic one-at-a-time benchmark."""


OpenLoad = Constant | Poisson | Gamma | Bursts | Trace
Load = Annotated[OpenLoad | Closed, Field(discriminator="arrivals")]


class Slo(_Keys):
    """Limits on e2e latency. A run that misses one ends with exit code 3."""

    p50: Duration | None = None
    p90: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    p999: Duration | None = None
    max: Duration | None = None


class Deadlines(_Keys):
    """A run that hangs ends."""

    startup: Duration = 180_000_000_000
    """Until every worker is ready: imports, loading, compiling, first call."""
    progress: Duration = 60_000_000_000
    """Between two completions while requests are in flight."""


class Scenario(_Keys):
    """A pipeline, the images and the load on it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
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


def stage_models() -> dict[str, type[StageOptions]]:
    """The kinds of stages by name."""
    return _by_default(Preprocess, Inference, Postprocess, Null, Delay, key="kind")


def load_models() -> dict[str, type[_AnyLoad]]:
    """The kinds of load by name."""
    return _by_default(Constant, Poisson, Gamma, Bursts, Trace, Closed, key="arrivals")


def _by_default(*models: Any, key: str) -> dict[str, Any]:
    return {m.model_fields[key].default: m for m in models}
