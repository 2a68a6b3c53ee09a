"""ONNX Runtime, on the CPU or, with its GPU build, on CUDA."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.stages.inference.artifacts import artifact
from harness.stages.inference.base import Setup, first_line, os_threads
from harness.stages.inference.extras import need

ERRORS_ONLY = 3
CUDA = "CUDAExecutionProvider"


class OnnxRuntime:
    """A session. Its threads wait in the kernel between batches: spinning ones would take cores from other workers."""

    inputs: NDArray[np.float32]
    part_ns: Sequence[int] = ()

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._options = setup.options

    def open(self) -> Mapping[str, float]:
        self._library: Any = need("onnxruntime", "onnx")
        if self._options.device == "cuda" and CUDA not in self._library.get_available_providers():
            raise ScenarioError(
                f"device: cuda is refused: this onnxruntime {self._library.__version__} is built without CUDA",
                where="stages.inference.device",
                hint="pip install onnxruntime-gpu in place of onnxruntime",
            )
        made = artifact(self._setup)
        begun = time.perf_counter()
        before = os_threads()
        self.session = self._session(str(made.path))
        after = os_threads()
        # The thread that calls computes, too.
        self._threads = None if before is None or after is None else 1 + after - before
        self._name, self._output = self._input(), self._answer()
        self.inputs = np.zeros((self._setup.max_batch, *self._setup.shape), np.float32)
        return {**made.steps, "compile": time.perf_counter() - begun}

    def _session(self, path: str) -> Any:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._options.threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._library.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = ERRORS_ONLY
        options.enable_profiling = bool(self._setup.profiling)
        options.profile_file_prefix = f"{self._setup.profiling}/onnxruntime"
        device = [CUDA] if self._options.device == "cuda" else ["CPUExecutionProvider"]
        try:
            return self._library.InferenceSession(path, options, providers=device)
        except Exception as error:  # its exceptions have no common class
            raise ScenarioError(
                f"{path} cannot be loaded as ONNX: {first_line(error)}", where="stages.inference.model"
            ) from None

    def _input(self) -> str:
        """The name of the one input. Raises ScenarioError when the model takes something else than we give."""
        given = self.session.get_inputs()
        (first, *more) = given or [None]
        fits = (
            first is not None
            and not more
            and first.type == "tensor(float)"
            and len(first.shape) == 4
            and all(a == b for a, b in zip(first.shape[1:], self._setup.shape, strict=True) if isinstance(a, int))
        )
        if not fits:
            takes = ", ".join(f"{i.type.removeprefix('tensor')} {'x'.join(map(str, i.shape))}" for i in given)
            raise ScenarioError(
                f"{self._options.model_name} takes {takes or 'nothing'}, and would get (float)"
                f" nx{'x'.join(map(str, self._setup.shape))}",
                where="stages.inference.model",
                hint="Its input must be one float32 tensor (batch, 3, height, width); crop sets height and width.",
            )
        return str(first.name)

    def _answer(self) -> str:
        """The name of the output that is the answer."""
        names = [output.name for output in self.session.get_outputs()]
        wanted = 0 if self._setup.options.form in ("name", "factory") else self._options.output
        if isinstance(wanted, int) and wanted < len(names):
            return str(names[wanted])
        if wanted in names:
            return str(wanted)
        raise ScenarioError(
            f"the model has no output {wanted!r}: it has {len(names)} ({', '.join(names)})",
            where="stages.inference.output",
        )

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._options.device == "cuda":
            return self._run_on_device(batch)
        result = self.session.run([self._output], {self._name: batch})[0]
        return _two_dimensional(result)

    def _run_on_device(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each step ends before the next begins, so that the parts are what they say."""
        marks = [time.perf_counter_ns()]
        on_device = self._library.OrtValue.ortvalue_from_numpy(batch, "cuda", 0)
        marks.append(time.perf_counter_ns())
        binding = self.session.io_binding()
        binding.bind_ortvalue_input(self._name, on_device)
        binding.bind_output(self._output, "cuda")
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        marks.append(time.perf_counter_ns())
        result = binding.copy_outputs_to_cpu()[0]
        marks.append(time.perf_counter_ns())
        self.part_ns = tuple(int(ns) for ns in np.diff(marks))
        return _two_dimensional(result)

    def effective(self) -> Mapping[str, Any]:
        options = self.session.get_session_options()
        return {
            "runtime": f"onnxruntime {self._library.__version__}",
            "threads": self._threads,
            "interop_threads": options.inter_op_num_threads,
            "spinning": options.get_session_config_entry("session.intra_op.allow_spinning") != "0",
            "precision": self._options.precision,
            "device": "cpu" if self._options.device == "cpu" else self.session.get_providers()[0],
        }

    def close(self) -> None:
        del self.session


def _two_dimensional(result: Any) -> NDArray[np.float32]:
    return result if result.ndim == 2 else result.reshape(len(result), -1)  # type: ignore[no-any-return]
