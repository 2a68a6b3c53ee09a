"""The kinds of stages, and what can be set of each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.inference import Inference
from harness.scenario.keys import FACTORY, FileName, Keys
from harness.scenario.options import BatchingOptions, StageOptions
from harness.scenario.units import LARGEST_SIDE, Duration, Size


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
    factory: str | None = Field(default=None, pattern=FACTORY)
    """Your own code in place of a backend, as `package.module:function`: the function is called once a worker and
    returns one that makes a float32 array (3, crop height, crop width) of uint8 pixels (height, width, 3)."""

    @model_validator(mode="after")
    def _max_size_is_a_limit(self) -> Self:
        if self.max_size is not None and (not isinstance(self.resize, int) or self.max_size <= self.resize):
            raise ValueError("max_size goes with a resize to a short side that is smaller than it")
        return self


class Postprocess(StageOptions):
    """Softmax, and the `top_k` most probable classes."""

    kind: Literal["postprocess"] = "postprocess"
    top_k: int = Field(default=5, ge=1, le=1000)
    """How many classes to keep."""
    factory: str | None = Field(default=None, pattern=FACTORY)
    """Your own code in place of it, as `package.module:function`: the function is called once a worker and returns one
    that makes a whole number, the answer, of the model's output, a float32 vector."""


class Null(BatchingOptions):
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


class Delay(BatchingOptions):
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
