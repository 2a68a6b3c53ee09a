"""Pixels or files to a normalised tensor, by one of the backends of `harness.kernels`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clock import now_ns
from harness.errors import ScenarioError
from harness.kernels import BackendUnavailable, KernelError, Recipe, check_resized, load
from harness.kernels.decode import DecodeError, decode, scaled_decode_difference
from harness.scenario.model import Preprocess
from harness.stages import factory
from harness.stages.base import Images, Opened, Payload, RequestError, StageContext, StageSpec, Tensor
from harness.stages.threads import tell_torch


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


def resolved(options: Preprocess, models: Sequence[str]) -> Preprocess:
    """Options with a recipe of `auto` replaced by that of the first of `models`. Raises ScenarioError."""
    if options.recipe == "given":
        return options
    if not models:
        raise ScenarioError("recipe: auto needs an inference stage whose weights have one", hint="Give the sizes.")
    from harness.kernels.recipes import recipe_for

    try:
        found = recipe_for(models[0])
    except KernelError as error:
        raise ScenarioError(str(error), hint="Give the sizes instead of recipe: auto.") from None
    keys = ("resize", "crop", "mean", "std", "filter")
    return options.model_copy(update={"recipe": "given", **{key: getattr(found, key) for key in keys}})


def spec(options: Preprocess, given: Payload) -> StageSpec:
    """Images go in; float32 (3, crop, crop) comes out."""
    if not isinstance(given, Images):
        raise ScenarioError(f"preprocess takes images, and would get {given}", hint="Make it the first stage.")
    parts = ("decode", "resize") if given.form == "encoded" else ()
    if options.scaled_decode and given.form == "raw":
        raise ScenarioError("scaled_decode goes with encoded images", hint="Set source.as to encoded.")
    if options.orient and given.form == "raw":
        raise ScenarioError("orient goes with encoded images: pixels have no EXIF", hint="Set source.as to encoded.")
    return StageSpec(Tensor(recipe(options).output_shape, np.float32), parts, reads_images=True)


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
