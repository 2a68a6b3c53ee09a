"""An executor's traits, not its name, decide what those who use it do."""

from __future__ import annotations

import asyncio
import selectors
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.executors import blocks, pipeline, session
from harness.executors.kind import kind_of
from harness.plan import Plan
from harness.registry import EXECUTORS
from tests.pipelines import plan

LOAD = {"arrivals": "constant", "rate": "1000/s", "requests": 20}


def quick() -> Plan:
    return plan({"null": {}}, load=LOAD, executor="asyncio")


@pytest.mark.parametrize("name", EXECUTORS.names)
def test_the_traits_of_an_executor_are_known_before_it_is_imported(name: str) -> None:
    code = f"""
import sys
from harness.registry import EXECUTORS
kind = EXECUTORS[{name!r}]
assert kind.implementation.partition(":")[0] not in sys.modules and "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Loops(set[type]):
    """The selectors of the event loops in which it was called."""

    def __call__(self, _: object) -> None:
        self.add(type(asyncio.get_running_loop()._selector))  # type: ignore[attr-defined]


@pytest.mark.parametrize("precise", [False, True])
def test_precise_timers_come_from_select(precise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "kind_of", lambda plan: replace(kind_of(plan), precise_timers=precise))
    assert session.execute(quick(), loops := Loops()).status == "completed"
    assert loops == {selectors.SelectSelector if precise else selectors.DefaultSelector}


@pytest.mark.parametrize("precise", [False, True])
def test_sides_have_precise_timers_where_one_of_them_needs_them(precise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [quick(), quick()]
    monkeypatch.setattr(
        blocks, "kind_of", lambda plan: replace(kind_of(plan), precise_timers=precise and plan is sides[1])
    )
    assert blocks.execute_blocks(sides, loops := Loops()).ending.status == "completed"
    assert loops == {selectors.SelectSelector if precise else selectors.DefaultSelector}


@pytest.mark.parametrize("spans_hosts", [False, True])
def test_the_counters_of_this_host_say_nothing_of_a_run_on_others(
    spans_hosts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "kind_of", lambda plan: replace(kind_of(plan), spans_hosts=spans_hosts))
    execution = session.execute(quick())
    assert execution.status == "completed" and bool(execution.host) != spans_hosts


@pytest.mark.parametrize("shares_memory", [False, True])
def test_what_stages_start_in_this_process_ends_with_it(shares_memory: bool) -> None:
    code = f"""
import subprocess, sys
from dataclasses import replace
from harness.executors import pipeline
from harness.executors.kind import kind_of
from harness.lifeline import end_descendants
from tests.executors.test_kind import quick

pipeline.kind_of = lambda plan: replace(kind_of(plan), shares_memory={shares_memory})
from harness.executors.session import execute
child = subprocess.Popen(["sleep", "60"])
assert execute(quick()).status == "completed"
end_descendants()
print(child.poll())
child.kill()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("-9" if shares_memory else "None")
