"""Compute threads: told to what can be told, read back from what is there, and never vouched for where they are not."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch

from harness.executors.asyncio.thread import ComputeThread
from harness.executors.session import in_loop
from harness.stages import Opened, threads
from harness.stages.null import Null
from harness.stats import checks
from harness.studies.run.facts import effective_of
from harness.summary import Check, Effective
from tests.pipelines import run

IMAGES = {"images": "synthetic", "height": 32, "width": 32, "count": 2}
CLOSED = {"arrivals": "closed", "requests": 3}
CROP = {"resize": None, "crop": 16}
both = pytest.mark.parametrize("executor", ["process", "asyncio"])


def verdict(execution) -> Check:
    requested = {stage.name: stage.options.threads for stage in execution.plan.stages}
    return checks.threads(requested, effective_of(execution))


@pytest.fixture
def seven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a factory that sets torch's threads to 7, whatever it was told; found from the working directory."""
    (tmp_path / "of_seven.py").write_text(
        textwrap.dedent("""
            import numpy as np
            import torch

            def make():
                torch.set_num_threads(7)
                return lambda pixels: np.zeros((3, 16, 16), np.float32)
        """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "of_seven:make"
    sys.modules.pop("of_seven", None)


@both
def test_a_factory_that_sets_torch_s_threads_is_seen(seven: str, executor: str) -> None:
    found = verdict(run({"preprocess": {**CROP, "factory": seven}}, source=IMAGES, load=CLOSED, executor=executor))
    assert found.level == "warning"
    assert "s0-0 has 7 (torch) and was to have 1" in found.message


@pytest.mark.parametrize("asked", [1, 3])
def test_under_asyncio_each_torchvision_stage_has_the_threads_that_it_asks_for(asked: int) -> None:
    """Others of the process keep theirs: this thread's number is what it was."""
    before = torch.get_num_threads()
    stage = {"preprocess": {**CROP, "backend": "torchvision", "threads": asked}}
    execution = run(stage, {"null": {}}, source=IMAGES, load=CLOSED, executor="asyncio")
    assert next(w.effective["threads"] for w in execution.workers if w.stage == "s0") == asked
    assert verdict(execution).level == "ok"
    assert torch.get_num_threads() == before


def test_torch_keeps_a_number_for_each_thread() -> None:
    """What one worker is told does not change another's, which has computed before."""

    async def told_in_turn() -> tuple[dict[str, int], dict[str, int]]:
        first, second = ComputeThread("first"), ComputeThread("second")
        await first.call(threads.tell_torch, 5)
        await second.call(threads.tell_torch, 2)
        return await first.call(threads.read_back), await second.call(threads.read_back)

    first, second = in_loop(told_in_turn, precise=False)
    assert (first["torch"], second["torch"]) == (5, 2)


@both
def test_where_nothing_is_read_back_the_check_says_so(executor: str) -> None:
    """`null` and `delay` compute with no library; with asyncio one may be loaded beside them."""
    execution = run({"null": {}}, {"delay": {"mean": "1 us"}}, load=CLOSED, executor=executor)
    if executor == "process":
        assert verdict(execution).message == "not read back in s0, s1"
    assert "read back in every worker" not in checks.threads({"s0": 1, "s1": 1}, {}).message


@pytest.mark.parametrize("backend", ["numba", "native"])
def test_the_kernels_threads_are_counted_and_not_said(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They compute in the thread that calls; a worker that asks for more is told that it has one."""
    from harness.kernels import Recipe, contract, load

    kernel = load(backend, Recipe(resize=None, crop=16))
    assert kernel.effective["threads"] is None, "nothing ran yet"
    kernel.warm_up()
    assert kernel.effective["threads"] == 1
    counts = iter([4, 6])
    monkeypatch.setattr(contract, "_os_threads", lambda: next(counts))
    kernel.warm_up()
    assert kernel.effective["threads"] == 3, "a pool of two appeared beside the one that calls"


@pytest.mark.parametrize(
    ("effective", "level", "message"),
    [
        ({"a-0": {"threads": 2}, "b-0": {"threads": 1}}, "ok", "as requested, read back in every worker"),
        ({"a-0": {"threads": 2}}, "ok", "as requested, read back in a; not read back in b"),
        ({"a-0": {"threads": None}, "b-0": {"factory": "x:y"}}, "ok", "not read back in a, b"),
        ({"a-0": {"threads": 2, "library_threads": {"torch": 2}}, "b-0": {"library_threads": {"torch": 1}}},
         "ok", "as requested, read back in every worker"),
        ({"a-0": {"threads": 2, "library_threads": {"torch": 7}}, "b-0": {"threads": 1}},
         "warning", "a-0 has 7 (torch) and was to have 2"),
        ({"a-1": {"threads": 1}, "producer": {}}, "warning", "a-1 has 1 and was to have 2; not read back in b"),
    ],
)  # fmt: skip
def test_what_the_check_says(effective, level, message) -> None:
    told = {worker: Effective.model_validate(read) for worker, read in effective.items()}
    assert checks.threads({"a": 2, "b": 1}, told) == Check("threads", level, message)


def test_a_stage_that_opens_without_a_library_has_no_threads_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        def open(self) -> Opened:
            return Opened({"load": 1.0}, {"backend": "x"})

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "numba.np.ufunc.parallel", raising=False)
    assert threads.opened(Bare(), Null(threads=3), tuple) == Opened({"load": 1.0}, {"backend": "x"})
