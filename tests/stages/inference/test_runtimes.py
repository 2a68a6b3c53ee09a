"""Every runtime behind the same calls: the same answers, the threads asked for, batches like their members."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import ScenarioError
from harness.host.cpu import simd
from harness.stages.inference.quantisation import samples
from harness.stages.inference.runtimes import RUNTIMES
from tests.runtimes.networks import SHAPE
from tests.runtimes.opening import READS_ONNX, answers, expected, inputs, model_for, network, stage

TWO_OUTPUTS = {"factory": "tests.runtimes.networks:two_outputs"}


def usable(runtime: str, folder: Path) -> dict[str, str]:
    """The model for a runtime; skips where something that it needs is absent."""
    if runtime == "torch.compile" and shutil.which("g++") is None:
        pytest.skip("torch.compile needs g++")
    return model_for(runtime, folder)


COMPILES = pytest.param("torch.compile", marks=pytest.mark.slow)  # with g++, for 10 s


EVERY = [COMPILES if name == "torch.compile" else name for name in RUNTIMES]


@pytest.mark.parametrize("runtime", EVERY)
def test_answers_are_the_networks_a_batch_is_like_its_members_threads_are_as_asked_for(
    runtime: str, tmp_path: Path
) -> None:
    opened = stage(runtime=runtime, model=usable(runtime, tmp_path), batch={"max": 3}, threads=2)
    effective = opened.open().effective
    assert (effective["threads"], effective["precision"]) == (2, "float32")
    given = inputs(6)
    alone = answers(opened, given)
    np.testing.assert_allclose(alone, expected(given), rtol=1e-3, atol=1e-5)
    together = [one.copy() for one in opened.process_batch(list(given[:3]), [0, 1, 2])]
    together += [one.copy() for one in opened.process_batch(list(given[3:5]), [3, 4])]
    np.testing.assert_allclose(together, alone[:5], rtol=1e-3, atol=1e-5)
    opened.close()


@pytest.mark.parametrize("runtime", ["torch", *READS_ONNX])
def test_one_thread_is_one_thread(runtime: str, tmp_path: Path) -> None:
    opened = stage(runtime=runtime, model=usable(runtime, tmp_path))
    assert opened.open().effective["threads"] == 1
    np.testing.assert_allclose(answers(opened, inputs(1)), expected(inputs(1)), rtol=1e-3, atol=1e-5)
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", READS_ONNX)
def test_random_weights_are_the_same_in_a_runtime_that_exports(runtime: str, tmp_path: Path) -> None:
    """A model by name, whose weights depend on the seed alone."""
    usable(runtime, tmp_path)
    pytest.importorskip("onnxscript")
    given = inputs(4)
    eager, exported = (stage(runtime=name, model="squeezenet1_1") for name in ("torch", runtime))
    eager.open()
    exported.open()
    wanted = answers(eager, given)
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(answers(exported, given), wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", READS_ONNX)
def test_int8_is_near_float32_and_says_so(runtime: str, tmp_path: Path) -> None:
    model = usable(runtime, tmp_path)
    if runtime == "openvino":
        pytest.importorskip("nncf")
    opened = stage(runtime=runtime, model=model, precision="int8", calibration={"samples": 32})
    assert opened.open().effective["precision"] == "int8"
    given = samples(opened._setup, seed=7)
    wanted, got = expected(given), answers(opened, given)
    assert np.abs(got - wanted).max() > 1e-4 * np.ptp(wanted), "it computes in float32"
    assert np.abs(got - wanted).max() < 0.2 * np.ptp(wanted)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_bf16_runs_where_the_processor_computes_in_it_and_is_refused_elsewhere(runtime: str, tmp_path: Path) -> None:
    opened = stage(runtime=runtime, model=usable(runtime, tmp_path), precision="bf16")
    if not simd(Path("/proc/cpuinfo").read_text(), platform.machine())["bf16"]:
        with pytest.raises(ScenarioError, match="bf16 is refused"):
            opened.open()
        return
    assert opened.open().effective["precision"] == "bf16"
    given = inputs(4)
    wanted, got = expected(given), answers(opened, given)
    assert np.abs(got - wanted).max() > 1e-6, "it computes in float32"
    np.testing.assert_allclose(got, wanted, atol=0.05)


@pytest.mark.parametrize("output", [1, "answer"])
@pytest.mark.parametrize("runtime", ["torch", "torchscript", "torch.export"])
def test_one_of_several_outputs_is_the_answer(runtime: str, output: int | str) -> None:
    opened, given = stage(runtime=runtime, model=TWO_OUTPUTS, output=output), inputs(2)
    opened.open()
    np.testing.assert_allclose(answers(opened, given), expected(given), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("output", [1, "negated"])
@pytest.mark.parametrize("runtime", READS_ONNX)
def test_one_of_several_outputs_of_a_file_is_the_answer(runtime: str, output: int | str, tmp_path: Path) -> None:
    opened, given = stage(runtime=runtime, model=usable(runtime, tmp_path), output=output), inputs(2)
    opened.open()
    np.testing.assert_allclose(answers(opened, given), -expected(given), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_factorys_model_is_exported_with_its_answer_alone() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    opened, given = stage(runtime="onnxruntime", model=TWO_OUTPUTS, output="answer"), inputs(2)
    assert opened.open().startup_s["export"] > 0
    np.testing.assert_allclose(answers(opened, given), expected(given), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("runtime", ["torch", *READS_ONNX])
@pytest.mark.parametrize("output", [2, "logits"])
def test_an_output_that_is_not_there_is_refused(runtime: str, output: int | str, tmp_path: Path) -> None:
    model = TWO_OUTPUTS if runtime == "torch" else usable(runtime, tmp_path)
    with pytest.raises(ScenarioError, match=r"no output .* it has 2 \((negated, answer|answer, negated)\)"):
        stage(runtime=runtime, model=model, output=output).open()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["torchscript", "export", "openvino"])
def test_a_file_runs_in_its_own_runtime(form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    if form == "torchscript":
        torch.jit.trace(network(), torch.zeros(2, *SHAPE)).save(str(path))
    elif form == "export":
        path = path.with_suffix(".pt2")
        dynamic: Any = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(network(), (torch.zeros(2, *SHAPE),), dynamic_shapes=dynamic), path)
    else:
        openvino = pytest.importorskip("openvino")
        openvino.save_model(openvino.Core().read_model(model_for("openvino", tmp_path)["onnx"]), path)
    opened, given = stage(model={form: str(path)}, batch={"max": 2}), inputs(3)
    opened.open()
    np.testing.assert_allclose(answers(opened, given), expected(given), rtol=1e-2, atol=1e-3)


def test_without_a_compiler_torch_compile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with pytest.raises(ScenarioError, match="needs a C\\+\\+ compiler, and there is no /nowhere/g\\+\\+"):
        stage(runtime="torch.compile").open()


@pytest.mark.parametrize(("runtime", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_an_absent_library_is_one_line_that_says_what_to_install(
    runtime: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, runtime, None)
    with pytest.raises(ScenarioError, match=f"{runtime} is not installed") as raised:
        stage(runtime=runtime).open()
    assert raised.value.hint == f"pip install 'tail-latency-harness[{extra}]'"


@pytest.mark.parametrize("runtime", ["torch", "torch.compile", "onnxruntime"])
def test_cuda_answers_as_the_cpu_does_and_times_its_parts(runtime: str, tmp_path: Path) -> None:
    opened = stage(runtime=runtime, model=usable(runtime, tmp_path), device="cuda", batch={"max": 3})
    if not torch.cuda.is_available():
        with pytest.raises(ScenarioError, match="device: cuda is refused"):
            opened.open()
        pytest.skip("no GPU here: it was refused")
    effective, given = opened.open().effective, inputs(3)
    wanted = expected(given)
    np.testing.assert_allclose(answers(opened, given), wanted, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(opened.process_batch(list(given), [0, 1, 2]), wanted, rtol=1e-2, atol=1e-2)
    assert len(opened.part_ns) == 3
    assert min(opened.part_ns) > 0
    if runtime != "onnxruntime":
        assert effective["peak_device_mb"] > 0
