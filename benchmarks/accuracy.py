"""Digits and crops over every runtime that is installed: do they answer the same, and does int8 stay within a point?

    python -m benchmarks.accuracy            # all, about 8 minutes on two cores
    python -m benchmarks.accuracy digits     # one of digits, resnet18, mobilenet_v3_small

Makes what it needs below build/ and prints the tables of `harness accuracy`. Ends with exit code 3 when a float32
variant gives another answer than the reference for more than 1 % of the images (719 digits, 560 crops), or when an int8
one loses more than a percentage point on the digits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from click.testing import CliRunner
from harness.kernels import backends

from harness.commands import cli

BUILD = Path("build")
CROPS = ("resnet18", "mobilenet_v3_small")
NEEDS = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino",)}
NEEDS_INT8 = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino", "nncf")}
RUNTIME, BACKEND = "stages.inference.runtime", "stages.preprocess.backend"


def made(case: str) -> tuple[Path, Path]:
    """The scenario and the labelled images of a case."""
    if case == "digits":
        from examples.digits.train import make

        return make(BUILD / "digits"), BUILD / "digits" / "test"
    from examples.crops.train import make as make_crops

    return make_crops(BUILD / "crops", case), BUILD / "crops" / "test"


def installed(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [name for name, modules in needs.items() if all(find_spec(module) for module in modules)]


def accuracy(scenario: Path, data: Path, *options: str) -> int:
    """Print what the command prints; return its exit code."""
    arguments = ["accuracy", str(scenario), "--data", str(data), *options]
    print(f"\n$ harness {' '.join(arguments)}", flush=True)
    done = CliRunner().invoke(cli, arguments)
    print(done.output, flush=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        print(f"error: {done.exception}", flush=True)
    return int(done.exit_code)


def main() -> int:
    cases = sys.argv[1:] or ["digits", *CROPS]
    codes = []
    for case in cases:
        scenario, data = made(case)
        runtimes = ["torch", "torch.compile", "torchscript", "torch.export", *installed(NEEDS)]
        kernels = [name for name, reason in backends().items() if reason is None]
        same = ("--min-agreement", "99%")
        codes.append(accuracy(scenario, data, "--vary", f"{RUNTIME}={','.join(runtimes)}", *same))
        codes.append(accuracy(scenario, data, "--vary", f"{BACKEND}={','.join(kernels)}", *same))
        if quantising := installed(NEEDS_INT8):
            int8 = ("--set", "stages.inference.precision=int8", "--set", f"{RUNTIME}={quantising[0]}")
            drop = ("--max-drop", "1%") if case == "digits" else ()
            codes.append(accuracy(scenario, data, *int8, "--vary", f"{RUNTIME}={','.join(quantising)}", *drop))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
