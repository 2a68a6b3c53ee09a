"""The kinds of stages, and what can be set of each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.keys import MAX_CAPACITY, STAGE_NAME, FileName, Keys
from harness.scenario.units import LARGEST_SIDE, Duration, Size


class Batch(Keys):
    """Dynamic batching: a worker serves up to `max` requests together."""

    max: int = Field(default=1, ge=1, le=4096)
    """Largest batch. 1 turns batching off."""
    timeout: Duration = 0
    """How long the first request that a worker has taken waits for others, at most. 0 takes what is there."""


class StageOptions(Keys):
    """What every stage has."""

    name: str = Field(default="", pattern=STAGE_NAME)
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
    """`numba` and `native` are this project's kernels; `torchvision` (uint8 tensor) and `torchvision-pil` baselines."""
    recipe: Literal["given", "auto"] = "given"
    """`auto` takes sizes, filter, mean and std from the weights of the scenario's model, instead of the keys below;
    `preprocess: auto` is short for it."""
    resize: Size | None = 256
    """Length of the short side after the resize, or [height, width], in pixels; null leaves the image as it is."""
    max_size: int | None = Field(default=None, ge=1, le=LARGEST_SIDE)
    """Upper limit of the long side, where `resize` is a short side: torchvision's rule."""
    filter: Literal["bilinear", "bicubic", "box", "lanczos"] = "bilinear"
    """Of the resize; always antialiased."""
    crop: Size = 224
    """The centre crop, in pixels: what the model sees. A number is both sides."""
    mean: tuple[float, float, float] = Field(default=(0.485, 0.456, 0.406), strict=False)
    """Subtracted from each channel, of values scaled to 0..1."""
    std: tuple[float, float, float] = Field(default=(0.229, 0.224, 0.225), strict=False)
    """Each channel is divided by this."""
    scaled_decode: bool = False
    """Let the JPEG decoder shrink by eighths as far as the resize allows; what that changes is measured at start-up."""
    orient: bool = False
    """Turn and mirror an encoded image as its EXIF orientation says."""

    @model_validator(mode="after")
    def _max_size_is_a_limit(self) -> Self:
        if self.max_size is not None and (not isinstance(self.resize, int) or self.max_size <= self.resize):
            raise ValueError("max_size goes with a resize to a short side that is smaller than it")
        return self


class Inference(_Batching):
    """A classification model."""

    kind: Literal["inference"] = "inference"
    runtime: Literal["torch"] = "torch"
    """What executes the model."""
    model: str = "resnet18"
    """Any classification model of torchvision, by name."""
    weights: Annotated[str, FileName(("random", "default"))] = "random"
    """`random` (seeded), `default` (the pretrained ones, where they are in the hub's cache), or the file of a state
    dict; a relative one counts from the scenario file's folder."""
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


class Stall(Keys):
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


Stage = Annotated[Preprocess | Inference | Postprocess | Null | Delay, Field(discriminator="kind")]


def stage_models() -> dict[str, type[StageOptions]]:
    """The kinds of stages by name."""
    kinds = (Preprocess, Inference, Postprocess, Null, Delay)
    return {kind.model_fields["kind"].default: kind for kind in kinds}
