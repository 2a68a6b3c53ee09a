"""Pinned parts of a pipeline: what the kernel says of their threads, what is refused, and what is warned of."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from harness import pinning
from harness.errors import ScenarioError
from harness.executors.kind import kind_of
from harness.outputs.serve import serve
from harness.pinning import Pinned, conflicts
from harness.stats.checks import Check
from harness.stats.checks import pinning as check
from harness.studies.compare.validity import checks_of
from harness.summary.facts import Effective
from harness.units import format_cpus
from tests.command import harness
from tests.pipelines import plan, run

USABLE = sorted(os.sched_getaffinity(0))
FIRST, LAST = USABLE[0], USABLE[-1]
CLOSED = {"arrivals": "closed", "requests": 20}
SCENARIO = f"""
name: pinned
load: {{arrivals: constant, rate: 500/s, requests: 50, cpus: {FIRST}}}
stages:
  - null: {{cpus: [{LAST}]}}
  - delay: {{mean: 1 us, cpus: "{FIRST}-{FIRST}"}}
"""

several = pytest.mark.skipif(len(USABLE) < 2, reason="needs two CPUs to tell them apart")


def allowed(pid: int) -> set[str]:
    """What the kernel says of every thread of a process."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return {found for text in texts for found in re.findall(r"Cpus_allowed_list:\s*(\S+)", text)}


@several
def test_every_thread_of_the_producer_and_of_a_worker_runs_on_its_cpus_and_others_on_any() -> None:
    stages = ({"null": {"cpus": [LAST], "threads": 2}}, {"delay": {"mean": "1 us", "cpus": FIRST}}, {"null": {}})
    pinned = plan(*stages, load={**CLOSED, "cpus": FIRST})

    async def seen() -> dict[str, set[str]]:
        executor = kind_of(pinned).make(pinned, None)
        try:
            await executor.start()
            return {worker.name: allowed(worker.pid) for worker in executor.workers}
        finally:
            await executor.stop(asyncio.Event())

    every = {format_cpus(USABLE)}
    first, last = {f"{FIRST}"}, {f"{LAST}"}
    assert asyncio.run(seen()) == {"producer": first, "s0-0": last, "s1-0": first, "s2-0": every}


@several
@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_what_a_worker_reads_back_is_stored_and_checked_and_nothing_else_is_pinned(executor: str) -> None:
    producer = {"cpus": FIRST} if executor == "process" else {}
    execution = run(
        {"null": {"cpus": LAST, "workers": 2}}, {"null": {}}, load={**CLOSED, **producer}, executor=executor
    )
    told = {w.name: w.effective.get("cpus") for w in execution.workers}
    assert (told["s0-0"], told["s0-1"], told["s1-0"]) == (f"{LAST}", f"{LAST}", None)
    assert told.get("producer") == (f"{FIRST}" if executor == "process" else None)
    (found,) = (one for one in checks_of(execution) if one.name == "pinning")
    assert (found.level, f"s0 on {LAST}, read back" in found.message) == ("ok", True)
    assert sorted(os.sched_getaffinity(0)) == USABLE


@several
def test_the_process_that_only_serves_runs_where_the_stage_would() -> None:
    pinned = plan({"null": {"cpus": LAST}}, load=CLOSED)
    outputs = serve(pinned, pinned.stages, [b"", b""], 0)
    assert outputs.effective["s0"]["cpus"] == f"{LAST}"


def test_a_run_shows_and_saves_where_it_was_pinned(tmp_path: Path) -> None:
    (tmp_path / "pinned.yaml").write_text(SCENARIO)
    ran = harness("run", "pinned.yaml", "--report", cwd=tmp_path, columns=120)
    assert ran.returncode == 0, ran.stderr
    assert re.search(rf"Pinned +producer CPU {FIRST} \(NUMA node \d+\), null CPU {LAST}", ran.stdout)
    assert re.search(rf"! pinning +producer and delay share CPU {FIRST}\b", ran.stdout)
    (page,) = tmp_path.rglob("*.html")
    assert f"<dt>Pinned</dt><dd>producer CPU {FIRST}" in page.read_text()


def test_what_is_not_pinned_has_no_verdict_and_no_figures() -> None:
    execution = run({"null": {}}, load=CLOSED)
    assert check(pinning.pinned(execution.plan), {}) == []
    assert not any("cpus" in worker.effective for worker in execution.workers)


@pytest.mark.parametrize("verb", [["validate"], ["run", "--quiet"]])
def test_cpus_that_are_not_there_are_refused_with_file_line_and_key_and_nothing_is_run(verb, tmp_path) -> None:
    (tmp_path / "pinned.yaml").write_text(SCENARIO)
    refused = harness(*verb, "pinned.yaml", "--set", "stages.null.cpus=[0, 4000-4001]", cwd=tmp_path)
    assert refused.returncode == 2
    assert "stages.null.cpus: CPUs 4000-4001 are not there: this machine has CPU" in refused.stderr
    assert f"Choose from {format_cpus(USABLE)}" in refused.stderr
    (tmp_path / "pinned.yaml").write_text(SCENARIO.replace(f"cpus: {FIRST}}}", "cpus: 4000}"))
    assert "pinned.yaml:3: load.cpus: CPU 4000 is not there" in harness(*verb, "pinned.yaml", cwd=tmp_path).stderr
    assert not (tmp_path / "results").exists()


@several
def test_cpus_outside_of_this_process_s_own_are_refused() -> None:
    narrow = plan({"null": {"cpus": LAST}}, load=CLOSED)
    os.sched_setaffinity(0, [FIRST])
    try:
        with pytest.raises(ScenarioError, match=rf"CPU {LAST} may not be used: .* leaves CPU {FIRST}") as refused:
            pinning.check_usable(narrow)
    finally:
        os.sched_setaffinity(0, USABLE)
    assert refused.value.where == "test: stages.s0.cpus"


def test_a_producer_without_a_process_cannot_be_pinned() -> None:
    with pytest.raises(ScenarioError, match="no process of its own") as refused:
        plan({"null": {}}, load={**CLOSED, "cpus": 0}, executor="asyncio")
    assert refused.value.where == "test: load.cpus"


def test_validate_warns_of_what_disturbs_one_another(tmp_path: Path) -> None:
    (tmp_path / "pinned.yaml").write_text(SCENARIO)
    found = harness("validate", "pinned.yaml", cwd=tmp_path)
    assert found.returncode == 0
    assert f"pinned.yaml: warning: producer and delay share CPU {FIRST}" in found.stderr


def test_shared_cpus_and_too_many_threads_are_conflicts() -> None:
    parts = [Pinned("producer", "", (0,)), Pinned("a", "", (1, 2), threads=2), Pinned("b", "", (0, 2, 3), threads=4)]
    assert conflicts(parts) == [
        "producer and b share CPU 0",
        "a and b share CPU 2",
        "b has 4 compute threads on CPUs 0,2-3",
    ]
    assert conflicts(parts[:2]) == []


@pytest.mark.parametrize(
    ("effective", "level", "message"),
    [
        ({"producer": {"cpus": "0"}, "a-b-0": {"cpus": "1-2"}}, "ok",
         "producer on 0, a-b on 1-2, read back in every worker"),
        ({"producer": {"cpus": "0"}, "a-b-0": {"cpus": "1"}}, "warning", "a-b-0 runs on 1 and was to run on 1-2"),
        ({"producer": {}, "a-b-0": {"cpus": "1-2"}}, "warning", "producer runs on unknown CPUs and was to run on 0"),
    ],
)  # fmt: skip
def test_what_the_check_says(effective, level, message) -> None:
    parts = [Pinned("producer", "load.cpus", (0,)), Pinned("a-b", "stages.a-b.cpus", (1, 2), threads=2)]
    read = {worker: Effective.model_validate(told) for worker, told in effective.items()}
    assert check(parts, read) == [Check("pinning", level, message)]
