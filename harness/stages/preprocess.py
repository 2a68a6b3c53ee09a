"""Pixels or files to a normalised tensor, by one of the backends of `harness.kernels`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.clock import now_ns
from harness.errors import ScenarioError
from harness.kernels import BackendUnavailable, KernelError, Recipe, check_resized, load
from harness.kernels.decode import DecodeError, decode, scaled_decode_difference
from harness.keys import FACTORY
from harness.stages import factory
from harness.stages.base import Images, Opened, Payload, RequestError, Stage, StageContext, StageSpec, Tensor
from harness.stages.options import StageOptions
from harness.stages.threads import tell_torch
from harness.units import LARGEST_SIDE, Size


class Preprocess(StageOptions):
    """Decode where the source is encoded, resize with antialiasing, centre crop, normalise: a float32 CHW tensor."""

    words: ClassVar[Mapping[str, Mapping[str, Any]]] = {"auto": {"recipe": "auto"}}

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

    def spec(self, given: Payload) -> StageSpec:
        """Images go in; float32 (3, crop, crop) comes out."""
        if not isinstance(given, Images):
            raise ScenarioError(f"preprocess takes images, and would get {given}", hint="Make it the first stage.")
        parts = ("decode", "resize") if given.form == "encoded" else ()
        if self.scaled_decode and given.form == "raw":
            raise ScenarioError("scaled_decode goes with encoded images", hint="Set source.as to encoded.")
        if self.orient and given.form == "raw":
            raise ScenarioError(
                "orient goes with encoded images: pixels have no EXIF", hint="Set source.as to encoded."
            )
        return StageSpec(Tensor(recipe(self).output_shape, np.float32), parts, reads_images=True)

    def build(self, context: StageContext) -> Stage:
        """Around the backend, or the user's function."""
        return PreprocessStage(context)

    def resolved(self, stages: Sequence[StageOptions]) -> Preprocess:
        """With a recipe of `auto` replaced by that of the first model of torchvision among the stages."""
        if self.recipe == "given":
            return self
        from harness.kernels.recipes import recipe_for

        models = [stage.torchvision_model for stage in stages if stage.torchvision_model is not None]
        if not models:
            raise ScenarioError("recipe: auto needs an inference stage whose weights have one", hint="Give the sizes.")
        try:
            found = recipe_for(models[0])
        except KernelError as error:
            raise ScenarioError(str(error), hint="Give the sizes instead of recipe: auto.") from None
        keys = ("resize", "crop", "mean", "std", "filter")
        return self.model_copy(update={"recipe": "given", **{key: getattr(found, key) for key in keys}})


def recipe(options: Preprocess) -> Recipe:
    """The kernels' description of the same work."""
    return Recipe(
        resize=options.resize,
        crop=options.crop,
        mean=options.mean,
        std=options.std,
        filter=options.filter,
        max_size=options.max_size,
    )


class PreprocessStage:
    """One backend, warmed up."""

    def __init__(self, context: StageContext) -> None:
        self._options: Preprocess = context.options
        self._encoded = context.input == Images("encoded")
        self._shape = context.output.shape
        self._images = context.images
        self._max_pixels = context.max_pixels
        self._decoding: dict[str, Any] = {"orient": self._options.orient, "max_pixels": context.max_pixels}
        if self._options.scaled_decode:
            self._decoding["scaled_for"] = recipe(self._options)
        # torchvision makes the whole resized picture before a crop takes its part. The other backends do not, but a
        # request that fails behind one backend and not behind another would spoil their comparison.
        self._recipe = recipe(self._options) if self._options.factory is None else None
        self.part_ns: Sequence[int] = ()

    def open(self) -> Opened:
        begun = time.perf_counter()
        if self._options.factory is not None:
            self._backend: Any = _Own(self._options.factory, self._shape)
            return Opened({"load": time.perf_counter() - begun}, self._backend.effective)
        try:
            self._backend = load(self._options.backend, recipe(self._options))
        except BackendUnavailable as error:
            raise ScenarioError(str(error), hint="`harness doctor` lists the backends that work here.") from None
        tell_torch(self._options.threads)  # torch is loaded from now on, if the backend is one of torchvision's
        loaded = time.perf_counter()
        warm = dict(self._backend.warm_up())
        warmed = time.perf_counter()
        self._backend.run(np.zeros((64, 64, 3), np.uint8), np.empty(self._shape, np.float32))
        figures = {
            "load": loaded - begun,
            "compile": warmed - loaded,
            **warm,
            "first_call": time.perf_counter() - warmed,
        }
        return Opened(figures, {**self._backend.effective, **self._scaled_decode()})

    def _scaled_decode(self) -> dict[str, Any]:
        """What decoding at a reduced scale changes in the output, in normalised units, over the first few images."""
        if not self._options.scaled_decode or self._images is None:
            return {}
        differences = []
        for index in range(min(len(self._images), 8)):
            try:
                data = bytes(self._images[index])
                differences.append(scaled_decode_difference(data, self._backend, max_pixels=self._max_pixels))
            except (KernelError, RequestError):
                continue  # its requests will fail, each with the reason
        if not differences:
            return {}
        largest, mean = max(d["max"] for d in differences), float(np.mean([d["mean"] for d in differences]))
        return {"scaled_decode_difference": {"images": len(differences), "largest": largest, "mean": mean}}

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        if self._encoded:
            begun = now_ns()
            try:
                item = decode(item, **self._decoding)
            except DecodeError as error:
                raise RequestError(str(error)) from None
            decoded = now_ns()
            self._run(item, out)
            self.part_ns = (decoded - begun, now_ns() - decoded)
        else:
            self._run(item, out)
        return -1

    def _run(self, pixels: Any, out: NDArray[Any]) -> None:
        try:
            if self._recipe is not None:
                check_resized(self._recipe, *pixels.shape[:2], self._max_pixels)
            self._backend.run(pixels, out)
        except KernelError as error:  # such as an image so narrow that nothing of it is left
            raise RequestError(str(error)) from None

    def close(self) -> None:
        pass


class _Own:
    """A user's own preprocessing behind the calls of a backend."""

    def __init__(self, path: str, shape: tuple[int, ...]) -> None:
        self._path, self._shape = path, shape
        self._run = factory.callable_of(path, f"a float32 array {shape} of uint8 pixels (height, width, 3)")
        self.effective = {"backend": path}
        self.run(np.zeros((480, 640, 3), np.uint8), np.empty(shape, np.float32))

    def run(self, pixels: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Raises ScenarioError when what it makes does not fit."""
        made = np.asarray(self._run(pixels))
        if made.shape != self._shape or made.dtype != np.float32:
            raise ScenarioError(
                f"{self._path} made {made.dtype} {made.shape} and must make float32 {self._shape}",
                where="stages.preprocess.factory",
                hint="crop sets height and width.",
            )
        out[...] = made
