"""The inference stage: which model, in which runtime, how precise, on which device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema, model_validator

from harness.errors import ScenarioError
from harness.keys import FACTORY, FileName, Keys
from harness.registry import attribute
from harness.stages.base import Payload, Stage, StageContext, StageSpec, Tensor
from harness.stages.inference.runtimes import CUDA_PARTS, RUNTIMES, Form, taking
from harness.stages.options import BatchingOptions

if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(RUNTIMES)]


class OwnModel(Keys):
    """A model of the user's own: one of these keys."""

    factory: str | None = Field(default=None, pattern=FACTORY)
    """A function without arguments that returns a torch.nn.Module, as `package.module:function`; the working directory
    is searched, too."""
    onnx: Annotated[str | None, FileName()] = None
    """An ONNX file. Relative names of files count from the scenario file's folder."""
    torchscript: Annotated[str | None, FileName()] = None
    """What torch.jit.save wrote."""
    openvino: Annotated[str | None, FileName()] = None
    """The .xml file of an OpenVINO IR, its .bin file beside it."""
    export: Annotated[str | None, FileName()] = None
    """What torch.export.save wrote (.pt2)."""

    @property
    def form(self) -> Form:
        """The key that is set."""
        return next(form for form in _OWN_FORMS if getattr(self, form) is not None)

    @property
    def value(self) -> str:
        """What it is set to."""
        return str(getattr(self, self.form))

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(getattr(self, form) is not None for form in _OWN_FORMS) != 1:
            raise ValueError(f"a model of your own has exactly one of the keys {', '.join(_OWN_FORMS)}")
        return self


_OWN_FORMS: tuple[Form, ...] = ("factory", "onnx", "torchscript", "openvino", "export")


def _tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "[name]"
    return "[own]" if isinstance(value, dict | OwnModel) else None


Model = Annotated[
    Annotated[str, Tag("[name]")] | Annotated[OwnModel, Tag("[own]")],
    Discriminator(
        _tag,
        custom_error_type="model",
        custom_error_message=f"the name of a model of torchvision, or a mapping with one of {', '.join(_OWN_FORMS)}",
    ),
]


def _parse_output(value: Any) -> int | str:
    place = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not place and not (isinstance(value, str) and value):
        raise ValueError("expected the place of an output, counted from 0, or its name")
    return value  # type: ignore[no-any-return]


Output = Annotated[
    int | str,
    PlainValidator(_parse_output),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}),
]


class QuantisationImages(Keys):
    """Images that int8 quantisation takes the ranges of activations from, through the scenario's preprocessing."""

    images: Annotated[str, FileName(("photos",))] = "photos"
    """`photos` (those that come with scikit-image), a folder, or a glob pattern: images as the model will meet them."""
    samples: int = Field(default=128, ge=1, le=10_000)
    """How many inputs to make of them: each image once, then parts of them, cut at random and mirrored."""


class Inference(BatchingOptions):
    """A classification model, or any other that makes one vector of an image."""

    kind: Literal["inference"] = "inference"
    runtime: RuntimeName = "torch"
    """What executes the model: torch eager unless the model is a file of another runtime."""
    model: Model = "resnet18"
    """Any classification model of torchvision, by name, or a model of your own."""
    weights: Annotated[str, FileName(("random", "default"))] = "random"
    """`random` (seeded, the same in every runtime), `default` (the pretrained ones, where they are in the hub's cache),
    or the file of a state dict; a relative one counts from the scenario file's folder."""
    classes: int = Field(default=1000, ge=1)
    """Length of the model's output."""
    output: Output = 0
    """Which output is the answer where the model has several: its place or its name. Others are not asked for."""
    precision: Literal["float32", "bf16", "int8"] = "float32"
    """`bf16` where the processor computes in it; `int8` by static quantisation after training."""
    quantisation_images: QuantisationImages = Field(default=QuantisationImages(), alias="calibration")
    """The images for `int8`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What the model runs on."""
    channels_last: bool = False
    """Keep activations in the channels-last memory format (torch, torch.compile)."""

    def spec(self, given: Payload) -> StageSpec:
        """A float32 (3, height, width) tensor goes in; float32 (classes,) logits come out."""
        if not (
            isinstance(given, Tensor) and len(given.shape) == 3 and given.shape[0] == 3 and given.dtype == np.float32
        ):
            raise ScenarioError(
                f"inference takes a float32 tensor of 3 channels, and would get {given}",
                hint="Put preprocess in front of it.",
            )
        return StageSpec(Tensor((self.classes,), np.float32), CUDA_PARTS if self.device == "cuda" else ())

    def build(self, context: StageContext) -> Stage:
        """Around the runtime."""
        stage: Stage = attribute("harness.stages.inference.stage:InferenceStage")(context)
        return stage

    @property
    def torchvision_model(self) -> str | None:
        """The model's name in torchvision, if it has one."""
        return self.model if isinstance(self.model, str) else None

    @property
    def form(self) -> Form:
        """How the model is given."""
        return "name" if isinstance(self.model, str) else self.model.form

    @property
    def model_name(self) -> str:
        """The model as results call it."""
        if isinstance(self.model, str):
            return self.model
        return self.model.value if self.form == "factory" else Path(self.model.value).name

    @model_validator(mode="before")
    @classmethod
    def _runtime_of_the_model(cls, raw: Any) -> Any:
        """A file runs in its own runtime unless another one is named."""
        model = raw.get("model") if isinstance(raw, dict) else None
        if isinstance(model, dict) and len(model) == 1 and "runtime" not in raw:
            (form,) = model
            fitting = taking(form)
            return {**raw, "runtime": fitting[0]} if fitting else raw
        return raw

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        runtime = RUNTIMES[self.runtime]
        if self.form not in runtime.forms:
            raise ValueError(f"runtime {self.runtime} takes no {self.form} model; {_one_of(taking(self.form))} does")
        for key, able in (("precision", "precisions"), ("device", "devices")):
            value = getattr(self, key)
            if value not in getattr(runtime, able):
                fitting = [name for name, kind in RUNTIMES.items() if value in getattr(kind, able)]
                raise ValueError(f"{key}: {value} goes with runtime {_one_of(fitting)}")
        if self.channels_last and not runtime.channels_last:
            fitting = [name for name, kind in RUNTIMES.items() if kind.channels_last]
            raise ValueError(f"channels_last goes with runtime {_one_of(fitting)}")
        if self.precision != "float32" and self.device == "cuda" and self.runtime == "onnxruntime":
            raise ValueError(f"precision: {self.precision} goes with device: cpu in runtime onnxruntime")
        if self.weights != "random" and self.form not in ("name", "factory"):
            raise ValueError(f"a {self.form} file brings its weights: leave the key weights out")
        if self.weights == "default" and self.form == "factory":
            raise ValueError("weights: default are those of a model of torchvision; a factory brings its own")
        return self


def _one_of(names: Any) -> str:
    return " or ".join(names)
