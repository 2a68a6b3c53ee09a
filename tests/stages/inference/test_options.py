"""Options of inference: what does not go together is refused, and a file chooses its runtime."""

from __future__ import annotations

import pytest

from tests.runtimes.opening import FACTORY, stage


def test_what_does_not_go_together_is_an_error_of_the_scenario() -> None:
    for options, says in [
        (
            {"runtime": "torch", "model": {"onnx": "a.onnx"}},
            "runtime torch takes no onnx model; onnxruntime or openvino",
        ),
        ({"precision": "int8"}, "precision: int8 goes with runtime onnxruntime or openvino"),
        ({"runtime": "openvino", "device": "cuda"}, "device: cuda goes with runtime torch"),
        ({"runtime": "openvino", "channels_last": True}, "channels_last goes with runtime torch"),
        ({"model": {"onnx": "a.onnx"}, "weights": "b.pt"}, "brings its weights"),
        ({"model": {"onnx": "a.onnx", "export": "b.pt2"}}, "exactly one of the keys"),
        ({"model": {"factory": "no colon"}}, "should match pattern"),
    ]:
        with pytest.raises(ValueError, match=says):
            stage(**options)


def test_a_model_file_chooses_its_runtime() -> None:
    forms = {"torchscript": "torchscript", "export": "torch.export", "onnx": "onnxruntime", "openvino": "openvino"}
    for form, wanted in forms.items():
        assert stage(model={form: "some.file"})._options.runtime == wanted
    assert stage(model=FACTORY)._options.runtime == "torch"
