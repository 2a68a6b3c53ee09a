"""Files that are broken, hostile or of the wrong shape: a clear error, and nothing in them is executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import ScenarioError
from harness.stages.inference import pt2
from tests.runtimes.networks import SHAPE, onnx_file
from tests.runtimes.opening import network, stage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Hostile:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "executed").exists()


def exported_file(folder: Path) -> Path:
    path = folder / "model.pt2"
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(network(), (torch.zeros(2, *SHAPE),), dynamic_shapes=({0: batch},)), path)
    return path


def rewritten(path: Path, **changes: Any) -> Path:
    """A copy of a zip archive; functions make the content of entries, named by how they end, anew."""
    copy, changed = path.with_stem("rewritten"), set()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            for ending, change in changes.items():
                if entry.filename.endswith(ending):
                    content = change(content)
                    changed.add(ending)
            new.writestr(entry.filename, content)
    assert changed == changes.keys()
    return copy


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("content", ["truncated", "garbage", "empty", "missing"])
def test_an_onnx_file_that_is_none(library: str, content: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    path = tmp_path / "broken.onnx"
    if content == "truncated":
        whole = onnx_file(tmp_path / "whole.onnx", network()).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content != "missing":
        path.write_bytes(b"garbage" * 100 if content == "garbage" else b"")
    says = "there is no file" if content == "missing" else "cannot be (loaded as ONNX|read by OpenVINO)|takes"
    with pytest.raises(ScenarioError, match=says):
        stage(runtime=library, model={"onnx": str(path)}).open()


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_a_model_for_other_images(library: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    path = onnx_file(tmp_path / "larger.onnx", network(), side=48)
    with pytest.raises(ScenarioError, match=r"takes .*3.*48.*48.* and would get"):
        stage(runtime=library, model={"onnx": str(path)}).open()


def test_a_model_with_a_fixed_batch(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = onnx_file(tmp_path / "fixed.onnx", network(), batch=1)
    stage(model={"onnx": str(path)}).open()
    with pytest.raises(ScenarioError, match="cannot run a batch of 2x3x32x32") as raised:
        stage(model={"onnx": str(path)}, batch={"max": 2}).open()
    assert "dynamic batch" in raised.value.hint


def test_a_model_with_another_number_of_classes() -> None:
    with pytest.raises(ScenarioError, match="gives 5 outputs, and classes is 10"):
        stage(classes=10).open()


@pytest.mark.parametrize("form", ["torchscript", "export"])
@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps({"a": Hostile()})])
def test_a_file_of_torch_that_is_none(form: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match="is no"):
        stage(model={form: str(path)}).open()


def test_a_pickle_in_a_torchscript_file_is_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.trace(network(), torch.zeros(1, *SHAPE)).save(str(path))
    hostile = pickle.dumps(Hostile(), protocol=2)
    changed = rewritten(path, **{"data.pkl": lambda content: hostile, "constants.pkl": lambda content: hostile})
    with pytest.raises(ScenarioError, match="no TorchScript file"):
        stage(model={"torchscript": str(changed)}).open()


def torch_pickle(_: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save(Hostile(), buffer)
    return buffer.getvalue()


def pickled_weights(config: bytes) -> bytes:
    """Say of every weight that it is pickled."""
    data = json.loads(config)
    for entry in data["config"].values():
        entry["use_pickle"] = True
    return json.dumps(data).encode()


def other_operator(program: bytes) -> bytes:
    return program.replace(b'"torch.ops.aten.relu.default"', b'"torch.hub.os.mkdir"')


def hostile_size(program: bytes) -> bytes:
    data = json.loads(program)

    def spoil(part: Any) -> None:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if key == "expr_str":
                part[key] = "__import__('os').mkdir('executed')"
            elif isinstance(value, dict | list):
                spoil(value)

    spoil(data)
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_inputs/model.pt": torch_pickle},
        {"model_weights_config.json": pickled_weights, "weights/weight_0": torch_pickle},
        {"models/model.json": other_operator},
        {"models/model.json": hostile_size},
    ],
    ids=["example inputs", "weights", "operator", "size"],
)
def test_an_exported_program_that_would_execute_something_is_refused(changes: Any, tmp_path: Path) -> None:
    path = exported_file(tmp_path)
    stage(model={"export": str(path)}).open()
    changed = rewritten(path, **changes)
    with pytest.raises(ScenarioError, match=r"is refused|is no program of torch\.export"):
        stage(model={"export": str(changed)}).open()


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("Add(Mul(Integer(2), Symbol('s0')), Integer(-1))", True),
        ("(s0 + 1)*2", True),
        ("exec('x')", False),
        ("exec ('x')", False),
        ("(exec)('x')", False),
        ("Symbol('s0')('x')", False),
        ("s0.__class__", False),
        ("[s0][0]", False),
        ("Symbol('a;b')", False),
    ],
)
def test_only_arithmetic_passes_as_a_size(expression: str, fine: bool) -> None:
    assert pt2._is_arithmetic(expression) is fine


def test_a_state_dict_with_code_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"last.weight": Hostile()}, path)
    with pytest.raises(ScenarioError, match="is no state dict"):
        stage(weights=str(path)).open()
