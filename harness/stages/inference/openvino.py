"""OpenVINO on the CPU."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.stages.inference.artifacts import artifact
from harness.stages.inference.base import Setup, first_line, refused_bf16
from harness.stages.inference.extras import need

_PRECISIONS = {"f32": "float32", "bf16": "bf16", "i8": "int8", "u8": "int8", "f16": "float16"}
_HEAVY = ("Convolution", "FullyConnected", "MatMul")


class OpenVinoRuntime:
    """A compiled model with one request in one stream. Batches of 1 are compiled with a fixed shape."""

    inputs: NDArray[np.float32]
    part_ns: Sequence[int] = ()

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._options = setup.options

    def open(self) -> Mapping[str, float]:
        self._library: Any = need("openvino", "openvino")
        self._core = self._library.Core()
        if self._options.precision == "bf16" and "BF16" not in self._core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise refused_bf16("this processor, as OpenVINO sees it,")
        made = artifact(self._setup)
        begun = time.perf_counter()
        self.compiled = self._compiled(str(made.path))
        self._place = self._answer()
        self.request = self.compiled.create_infer_request()
        self.inputs = np.zeros((self._setup.max_batch, *self._setup.shape), np.float32)
        return {**made.steps, "compile": time.perf_counter() - begun}

    def _compiled(self, path: str) -> Any:
        try:
            model = self._core.read_model(path)
        except Exception as error:
            raise ScenarioError(
                f"{path} cannot be read by OpenVINO: {first_line(error)}", where="stages.inference.model"
            ) from None
        largest = self._setup.max_batch
        batch = 1 if largest == 1 else self._library.Dimension(1, largest)
        shape = self._library.PartialShape([batch, *self._setup.shape])
        try:
            (given,) = model.inputs
            if not given.get_partial_shape().compatible(self._library.PartialShape([-1, *self._setup.shape])):
                raise ValueError("its height, width or channels are others")
            if given.get_element_type() != self._library.Type.f32:
                raise ValueError(f"its elements are {given.get_element_type()}")
            model.reshape({given: shape})
            return self._core.compile_model(model, "CPU", self._properties())
        except Exception as error:
            takes = ", ".join(f"{i.get_element_type()} {i.get_partial_shape()}" for i in model.inputs)
            raise ScenarioError(
                f"{self._options.model_name} takes {takes}, and would get float32 {shape}: {first_line(error)}",
                where="stages.inference.model",
                hint="Its input must be one float32 tensor (batch, 3, height, width); crop sets height and width.",
            ) from None

    def _properties(self) -> dict[str, Any]:
        """One stream of as many threads as were asked for, tied to no core: other workers run beside it."""
        return {
            "INFERENCE_NUM_THREADS": self._options.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "ENABLE_HYPER_THREADING": True,
            # Left alone, OpenVINO computes float32 in bf16 where the processor can.
            "INFERENCE_PRECISION_HINT": "bf16" if self._options.precision == "bf16" else "f32",
            "PERF_COUNT": bool(self._setup.profiling),
        }

    def _answer(self) -> int:
        """The place of the output that is the answer."""
        outputs = self.compiled.outputs
        wanted = 0 if self._options.form in ("name", "factory") else self._options.output
        for place, output in enumerate(outputs):
            if wanted == place or wanted in output.get_names():
                return place
        known = ", ".join(sorted(name for output in outputs for name in output.get_names()))
        raise ScenarioError(
            f"the model has no output {wanted!r}: it has {len(outputs)} ({known})", where="stages.inference.output"
        )

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        results = self.request.infer([batch], share_inputs=True, share_outputs=True)
        result = results[self._place]
        return result if result.ndim == 2 else result.reshape(len(result), -1)  # type: ignore[no-any-return]

    def effective(self) -> Mapping[str, Any]:
        get = self.compiled.get_property
        return {
            "runtime": f"openvino {self._library.__version__.partition('-')[0]}",
            "threads": get("INFERENCE_NUM_THREADS"),
            "streams": get("NUM_STREAMS"),
            "pinned": get("ENABLE_CPU_PINNING"),
            "precision": self._precision(),
            "device": "cpu",
        }

    def _precision(self) -> str:
        """The precision in which most compute-heavy layers run."""
        info = [node.get_rt_info() for node in self.compiled.get_runtime_model().get_ops()]
        used = Counter(
            str(layer["runtimePrecision"].astype(str))
            for layer in info
            if "layerType" in layer and layer["layerType"].astype(str) in _HEAVY
        )
        most = used.most_common(1)[0][0] if used else ""
        return _PRECISIONS.get(most, most or self._options.precision)

    def close(self) -> None:
        del self.request, self.compiled
