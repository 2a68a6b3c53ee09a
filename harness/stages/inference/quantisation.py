"""Static int8 quantisation after training: ranges of activations come from images, weights have a scale a channel.

Activations are unsigned and weights signed 8-bit integers (U8S8). Without VNNI a processor adds two such products in 16
bits, which saturate (2 * 255 * 127 > 32767) and spoil the answer; weights then keep to 7 bits, where they cannot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.stages import source
from harness.stages.base import Images, RequestError, StageContext, Tensor
from harness.stages.inference.artifacts import EXPORTED, IR, has_vnni
from harness.stages.inference.base import Setup
from harness.stages.inference.extras import need
from harness.stages.preprocess import PreprocessStage

SMALLEST_PART = 0.4  # of a side, for the parts of images that make up the number of samples
SAMPLES_SEED = 0


def write(setup: Setup, model: Path, folder: Path) -> None:
    """Quantise a float32 file into `folder`."""
    inputs = samples(setup, SAMPLES_SEED)
    if setup.options.runtime == "openvino":
        _with_nncf(model, inputs, folder / IR)
    else:
        _with_onnxruntime(model, inputs, folder)


def samples(setup: Setup, seed: int) -> NDArray[np.float32]:
    """The inputs, shape (samples, 3, height, width): each image whole, then random parts of all images in turn."""
    options, preprocess = setup.options.quantisation_images, setup.preprocess
    drawn = np.random.SeedSequence(seed)
    images = source.load(source.Source(images=options.images), drawn)
    output = Tensor(setup.shape, np.float32)
    stage = PreprocessStage(StageContext(preprocess, Images("raw"), output, (), drawn))
    stage.open()
    inputs = np.empty((options.samples, *setup.shape), np.float32)
    for index, pixels in zip(range(options.samples), _parts(images, drawn), strict=False):
        stage.process(pixels, inputs[index], 0)
    images.close()
    return inputs


def _parts(images: source.ImageSet, seed: np.random.SeedSequence) -> Iterator[NDArray[np.uint8]]:
    readable = []
    for index in range(len(images)):
        try:
            readable.append(images[index])
        except RequestError:
            continue
    if not readable:
        raise ScenarioError(
            "none of the images for quantisation can be read", where="stages.inference.calibration.images"
        )
    yield from readable
    rng = np.random.default_rng(seed)
    while True:
        for pixels in readable:
            height, width = (max(1, round(side * rng.uniform(SMALLEST_PART, 1))) for side in pixels.shape[:2])
            top, left = rng.integers(pixels.shape[0] - height + 1), rng.integers(pixels.shape[1] - width + 1)
            part = pixels[top : top + height, left : left + width]
            yield np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def _with_onnxruntime(model: Path, inputs: NDArray[np.float32], folder: Path) -> None:
    need("onnxruntime", "onnx")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._batches: Iterator[dict[str, Any]] = iter({name: one[None]} for one in inputs)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    prepared = folder / "prepared.onnx"
    quant_pre_process(str(model), str(prepared))
    quantization.quantize_static(
        str(prepared),
        str(folder / EXPORTED),
        Reader(_input_name(prepared)),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        reduce_range=not has_vnni(),
    )
    prepared.unlink()


def _input_name(model: Path) -> str:
    import onnx

    return str(onnx.load(str(model), load_external_data=False).graph.input[0].name)


def _with_nncf(model: Path, inputs: NDArray[np.float32], target: Path) -> None:
    os.environ.setdefault("NNCF_CI", "1")  # else it reports its use over the network
    nncf: Any = need("nncf", "quant")
    openvino: Any = need("openvino", "openvino")
    fix = nncf.OverflowFix.DISABLE if has_vnni() else nncf.OverflowFix.ENABLE
    quantised = nncf.quantize(
        openvino.Core().read_model(model),
        nncf.Dataset([one[None] for one in inputs]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
    )
    openvino.save_model(quantised, target, compress_to_fp16=False)
