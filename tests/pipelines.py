"""Short pipelines for tests, built the way a scenario file would be."""

from __future__ import annotations

from typing import Any

from harness.executors.base import Execution
from harness.executors.session import execute
from harness.plan import Plan, resolve
from harness.scenario import Scenario


def scenario(*stages: dict[str, Any], load: dict[str, Any], **keys: Any) -> Scenario:
    """Each stage is {kind: options}; names are s0, s1, ... unless given."""
    flat = []
    for index, stage in enumerate(stages):
        ((kind, options),) = stage.items()
        flat.append({"kind": kind, "name": f"s{index}", **options})
    return Scenario.model_validate({"name": "test", "stages": flat, "load": {"warmup": 0, "seed": 1, **load}, **keys})


def plan(*stages: dict[str, Any], load: dict[str, Any], **keys: Any) -> Plan:
    return resolve(scenario(*stages, load=load, **keys))


def run(*stages: dict[str, Any], load: dict[str, Any], **keys: Any) -> Execution:
    execution = execute(plan(*stages, load=load, **keys))
    if execution.error is not None:
        raise AssertionError(execution.error.details or str(execution.error))
    return execution
