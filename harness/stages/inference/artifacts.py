"""The file that ONNX Runtime or OpenVINO loads: the user's own, or one made from it or a torch model once and kept.

Making takes torch and much memory, so it is done in a process of its own: a worker that loads a file stays as small and
as quiet as the file's runtime is.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from harness.children.blocking import BlockingChild
from harness.children.verdict import verdict
from harness.errors import ScenarioError
from harness.host.cpu import simd
from harness.host.files import ROOT, text
from harness.stages.inference.base import Setup
from harness.stages.inference.cache import hash_of, kept, kept_by_content, key_of
from harness.stages.inference.extras import need
from harness.stages.inference.options import OwnModel
from harness.stages.source import Source, paths

EXPORTED, IR = "model.onnx", "model.xml"
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}


@dataclass(frozen=True)
class Task:
    """What the process of prepare.py is to make, in an empty folder. model: the float32 file that is quantised."""

    make: Literal["export", "quantise"]
    setup: Setup
    folder: str
    model: str = ""
    events_fd: int = -1


@dataclass(frozen=True)
class Artifact:
    """A file to load, and the seconds that each step of making it took; empty where the file was already there."""

    path: Path
    steps: dict[str, float]


def artifact(setup: Setup) -> Artifact:
    """The file for a Setup's runtime and precision. Raises ScenarioError."""
    source = _float32(setup)
    if setup.options.precision != "int8":
        return source
    begun = time.perf_counter()
    found = _quantised(setup, source.path)
    return Artifact(found, {**source.steps, "quantise": time.perf_counter() - begun})


def _float32(setup: Setup) -> Artifact:
    model = setup.options.model
    if isinstance(model, OwnModel) and model.form != "factory":
        path = Path(model.value)
        if not path.is_file():
            raise ScenarioError(f"there is no file {path}", where=f"stages.inference.model.{model.form}")
        return Artifact(path, {})
    begun = time.perf_counter()
    for module in ("onnx", "onnxscript"):
        need(module, EXTRAS[setup.options.runtime])
    found = _exported_factory(setup) if isinstance(model, OwnModel) else _exported(setup)
    return Artifact(found, {"export": time.perf_counter() - begun})


def _exported(setup: Setup) -> Path:
    """The ONNX file of a model of torchvision: known by its name, its weights and the libraries that export it."""
    options = setup.options
    weights: Any = options.weights
    if weights == "random":
        weights = {"seed": setup.seed, "classes": options.classes}
    elif weights != "default":
        weights = {"file": hash_of(Path(weights)), "classes": options.classes}
    made_from = {
        "model": options.model,
        "weights": weights,
        "shape": setup.shape,
        "output": options.output,
        "libraries": _versions("torch", "torchvision", "onnx", "onnxscript"),
    }
    return kept(key_of(made_from), lambda folder: run(_task("export", setup, folder))) / EXPORTED


def _exported_factory(setup: Setup) -> Path:
    """The ONNX file of a factory's model: exported at every start, since nobody can tell what its code depends on.

    It is kept by its content, so that what is made of it in turn is found again.
    """
    key = key_of({"factory": setup.options.model_name, "folder": str(Path.cwd())})
    return kept_by_content(key, lambda folder: run(_task("export", setup, folder)), EXPORTED) / EXPORTED


def _quantised(setup: Setup, model: Path) -> Path:
    """The int8 file made from a float32 one, identified by its content, the quantisation images and the libraries."""
    options = setup.options
    if setup.preprocess is None:
        raise ScenarioError(
            "int8 quantisation needs the preprocessing in front of the model, and there is none",
            where="stages.inference.precision",
        )
    if options.runtime == "openvino":
        need("nncf", "quant")
    else:
        need("onnx", "quant")
    made_from = {
        "model": hash_of(model),
        "weights": hash_of(model.with_suffix(".bin")) if model.suffix == ".xml" else None,
        "runtime": options.runtime,
        "images": [(str(path), *_identity(path)) for path in paths(Source(images=options.quantisation_images.images))],
        "samples": options.quantisation_images.samples,
        "preprocess": setup.preprocess.model_dump(mode="json", exclude={"name", "workers", "capacity", "threads"}),
        "shape": setup.shape,
        "vnni": has_vnni(),
        "libraries": _versions("onnxruntime", "openvino", "nncf", "onnx"),
    }
    name, weights = (IR, "model.bin") if options.runtime == "openvino" else (EXPORTED, EXPORTED)

    def make(folder: Path) -> None:
        run(_task("quantise", setup, folder, model))

    if setup.preprocess.factory is not None:  # code of the user's: made anew each time, as its export is
        return kept_by_content(key_of(made_from), make, weights) / name
    return kept(key_of(made_from), make) / name


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _versions(*names: str) -> dict[str, str | None]:
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def has_vnni() -> bool:
    """Whether the processor multiplies 8-bit integers into 32-bit sums without an intermediate that saturates."""
    return bool(simd(text(ROOT, "proc/cpuinfo") or "", platform.machine())["vnni"])


def _task(make: Literal["export", "quantise"], setup: Setup, folder: Path, model: Path | None = None) -> Task:
    quiet = replace(setup, profiling="")
    return Task(make, quiet, str(folder), str(model or ""))


def run(task: Task) -> None:
    """Run a task in its own process, which ends with this one. Raises ScenarioError with the task's error."""
    with BlockingChild(
        "harness.stages.inference.prepare", lambda events_fd: replace(task, events_fd=events_fd), duties=["may-hang"]
    ) as child:
        for _ in child.events():
            pass
        code = child.process.wait()
        if code == 0:
            return
        error = verdict(child, code, where="stages.inference.model")
    raise error
