"""`harness profile`: operators of a stage, sampled in its worker or alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.command import harness

SCENARIO = """\
name: small
source: {images: synthetic, height: 60, width: 80, count: 3}
load: {arrivals: closed, concurrency: 2, requests: 60, warmup: 5}
stages:
  - preprocess: {backend: numba, resize: 40, crop: 32}
  - inference: {model: squeezenet1_1, classes: 10}
  - postprocess: {top_k: 5}
"""
CONVOLUTIONS = 26
"""Of squeezenet1_1: eight Fire modules of three, one before and one behind them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SCENARIO)
    return tmp_path


def profiled(folder: Path, *options: Any) -> dict[str, Any]:
    done = harness("profile", "small.yaml", "--calls", "8", *options, "--json", "-", cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


Sampled = tuple[Path, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sampled]:
    """The folder of a profile under load or alone, with its answer in answer.json, and what was shown: made once."""

    @cache
    def make(where: str) -> Sampled:
        folder = tmp_path_factory.mktemp("sampled")
        (folder / "small.yaml").write_text(SCENARIO)
        options = (where, "--calls", "8", "--top", "3", "--json", "answer.json")
        return folder, harness("profile", "small.yaml", *options, cwd=folder)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("where", ["--under-load", "--alone"])
def test_every_convolution_of_the_model_is_counted(sampled: Callable[[str], Sampled], where: str) -> None:
    folder, done = sampled(where)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "answer.json").read_text())
    assert (found["calls"], found["requests"], found["source"]) == (8, 8, "torch.profiler")
    convolutions = next(row for row in found["operators"] if row["name"] == "aten::convolution")
    assert convolutions["count"] == CONVOLUTIONS
    shares = sum(row["share"] for row in found["operators"] if row["device"] == "cpu")
    assert shares + found["outside"] == pytest.approx(1)
    assert sum(row["self_ms"] for row in found["operators"]) <= 1.001 * found["profiled_ms"]
    assert not (folder / "results").exists(), "a profile is not saved as a run"


@pytest.mark.study
def test_every_worker_is_sampled(folder: Path) -> None:
    found = profiled(folder, "--set", "stages.inference.workers=2", "--set", "load.concurrency=6")
    assert (found["workers"], found["calls"]) == (2, 16)


@pytest.mark.study
def test_a_batch_is_one_call_of_several_requests(folder: Path) -> None:
    found = profiled(folder, "--alone", "--set", "stages.inference.batch.max=4")
    assert (found["calls"], found["requests"]) == (8, 32)
    convolutions = next(row for row in found["operators"] if row["name"] == "aten::convolution")
    assert convolutions["count"] == CONVOLUTIONS


@pytest.mark.study
@pytest.mark.parametrize(
    ("runtime", "modules", "name"),
    [("onnxruntime", ("onnx", "onnxruntime"), "Conv"), ("openvino", ("openvino",), "Convolution")],
)
def test_a_runtimes_own_profile_goes_into_the_same_table(
    folder: Path, runtime: str, modules: tuple[str, ...], name: str
) -> None:
    for module in modules:
        pytest.importorskip(module)
    found = profiled(folder, "--set", f"stages.inference.runtime={runtime}")
    rows = [row for row in found["operators"] if row["name"].startswith(name)]
    assert sum(row["count"] for row in rows) == pytest.approx(CONVOLUTIONS, abs=1)
    assert all(row["self_ms"] > 0 for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["small.yaml"], "nothing is left behind"


@pytest.mark.study
def test_a_trace_holds_the_sampled_operators(folder: Path) -> None:
    profiled(folder, "--trace", "trace.json")
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::convolution" for event in events) == 8 * CONVOLUTIONS


@pytest.mark.study
def test_a_flame_view_shows_python_of_the_stage(folder: Path) -> None:
    pytest.importorskip("pyinstrument")
    profiled(folder, "--flame", "flame.html")
    assert "forward" in (folder / "flame.html").read_text()


@pytest.mark.study
def test_a_stage_without_operators_says_so_and_has_no_trace(folder: Path) -> None:
    options = ("--stage", "postprocess", "--calls", "5", "--trace", "x.json")
    done = harness("profile", "small.yaml", *options, cwd=folder)
    assert done.returncode == 2
    assert "--trace x.json: nothing to write" in done.stderr
    assert "no measurement, not saved" in done.stdout
    assert "no operators that a profiler knows" in done.stdout


@pytest.mark.slow
def test_the_screen_fits_80_columns_and_has_the_heaviest_operator_first(sampled: Callable[[str], Sampled]) -> None:
    _, done = sampled("--under-load")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("operator"))
    shares = [float(line.split("%")[0].split()[-1]) for line in lines[head + 1 : head + 4]]
    assert shares == sorted(shares, reverse=True)
    assert "others" in lines[head + 4]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--stage", "inferenz"], 2, "there is no stage 'inferenz': small has preprocess, inference, postprocess"),
        pytest.param(["--calls", "5000"], 1, "there were not 5001 calls to sample", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_profiled_is_a_clear_error(folder: Path, options: list[str], code: int, says: str) -> None:
    done = harness("profile", "small.yaml", *options, cwd=folder)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
