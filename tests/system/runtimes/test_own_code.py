"""A user's own model, preprocessing and postprocessing in real runs: they work, or say why not before the deadline."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import ScenarioError
from harness.stages import build
from tests.command import harness
from tests.pipelines import plan, run
from tests.runtimes.networks import CLASSES, SIDE
from tests.runtimes.opening import stage

HERE = "tests.runtimes.networks"
STEPS = "tests.runtimes.steps"
SOURCE = {"images": "synthetic", "height": 64, "width": 64, "count": 2}
LOAD: dict[str, Any] = {"arrivals": "closed", "requests": 6}


@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_a_pipeline_of_ones_own(executor: str) -> None:
    execution = run(
        {"preprocess": {"factory": f"{STEPS}:brightness", "crop": SIDE}},
        {"inference": {"model": {"factory": f"{HERE}:network"}, "classes": CLASSES, "batch": {"max": 2}}},
        {"postprocess": {"factory": f"{STEPS}:least"}},
        load=LOAD,
        source=SOURCE,
        executor=executor,
    )
    answers = execution.records.column("answer")
    assert len(answers) == 6
    assert ((answers >= 0) & (answers < CLASSES)).all()


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("raises", "raised OSError: the licence server is away"),
        ("a_number", "returned int and must return a torch.nn.Module"),
        ("nowhere", "has no function 'nowhere'"),
    ],
)
def test_a_factory_that_gives_no_model(factory: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        stage(model={"factory": f"{HERE}:{factory}"}).open()


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ScenarioError, match="nowhere cannot be imported: ModuleNotFoundError"):
        stage(model={"factory": "nowhere:network"}).open()


SCENARIO = """
name: own
source: {{images: synthetic, height: 64, width: 64, count: 2}}
load: {{arrivals: closed, requests: 3}}
deadlines: {{startup: {startup}}}
stages:
  - preprocess: {{{preprocess}}}
  - inference: {{model: {{factory: "{here}:{model}"}}, classes: 5, runtime: {runtime}}}
"""


def scenario(folder: Path, **parts: str) -> Path:
    """A scenario with these parts."""
    usual = {"runtime": "torch", "preprocess": "resize: 36, crop: 32", "startup": "100 s"}
    path = folder / "own.yaml"
    path.write_text(SCENARIO.format(here=HERE, **{**usual, **parts}))
    return path


def watched(path: Path, out: Path) -> tuple[int, str, set[psutil.Process]]:
    """`harness run` as a process: its exit code, what it said, and its children while it ran."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", str(path), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    seen: set[psutil.Process] = set()
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            seen.update(psutil.Process(process.pid).children(recursive=True))
        time.sleep(0.1)
    assert process.stderr is not None
    with process.stderr as errors:
        said = errors.read().decode()
    return process.returncode, said, seen


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_factory_that_hangs_ends_with_the_deadline_and_leaves_no_process(runtime: str, tmp_path: Path) -> None:
    """In the worker itself, and in the process that exports for it."""
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    code, said, seen = watched(scenario(tmp_path, model="hangs", runtime=runtime, startup="5 s"), tmp_path / "out")
    assert code == 1
    assert "5 s" in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(seen, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_a_factory_that_raises_is_told_in_a_line_and_its_traceback_is_kept(tmp_path: Path) -> None:
    done = harness("run", scenario(tmp_path, model="raises"), "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "raised OSError: the licence server is away" in done.stderr
    assert "Traceback" not in done.stderr
    (failure,) = tmp_path.glob("out/own/*/failure.txt")
    assert "in raises" in failure.read_text()
    (summary,) = tmp_path.glob("out/own/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "failed"


def test_a_preprocessing_of_the_wrong_type_is_refused() -> None:
    planned = plan({"preprocess": {"factory": f"{STEPS}:doubles", "crop": SIDE}}, load=LOAD, source=SOURCE)
    with pytest.raises(ScenarioError, match=r"made float64 \(3, 32, 32\) and must make float32 \(3, 32, 32\)"):
        build(planned.context(planned.stages[0])).open()
