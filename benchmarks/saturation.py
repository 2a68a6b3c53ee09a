"""Does a saturated pipeline reach its bottleneck's own capacity? Workers x batch / service, measured in the same run.

    python -m benchmarks.saturation [--json FILE]

Each pipeline is overloaded; the rate is that of completions while it is full, the capacity that of the bottleneck's
workers if they never waited. The difference is what hand-over between stages costs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from harness.executors.session import execute
from harness.plan import resolve
from harness.scenario import load
from harness.scenario.model import Scenario

SCENARIOS = Path(__file__).parent.parent / "scenarios"
TARGET = 0.95
ROW = "{:46} {:>12} {:>12} {:>8} {:>8}"


def delays(*stages: dict[str, Any]) -> Scenario:
    """A pipeline of delay stages under far too much load."""
    return Scenario.model_validate(
        {
            "name": "saturated",
            "load": {"arrivals": "constant", "rate": "100000/s", "requests": 1500, "warmup": 0},
            "stages": [{"kind": "delay", "name": f"s{i}", **stage} for i, stage in enumerate(stages)],
        }
    )


def cases() -> dict[str, Scenario]:
    """What is measured, by name."""
    slow = {"distribution": "exponential", "mean": "3 ms", "capacity": 64}  # room enough that it never starves
    fast = {"distribution": "exponential", "mean": "1 ms"}
    resnet18 = ["load={arrivals: closed, concurrency: 32, requests: 150, warmup: 10}"]
    return {
        "delay, 3 ms": delays(slow),
        "delay, 1 ms -> 3 ms -> 1 ms": delays(fast, slow, fast),
        "delay, 1 ms -> 6 ms by 2 workers -> 1 ms": delays(fast, {**slow, "mean": "6 ms", "workers": 2}, fast),
        "delay, 1 ms -> 9 ms in batches of 4 -> 1 ms": delays(
            fast, {**slow, "mean": "9 ms", "batch": {"max": 4, "timeout": "5 ms"}}, fast
        ),
        "resnet18, batches of 4": load(SCENARIOS / "resnet18_cpu.yaml", resnet18),
        "resnet18, one at a time": load(SCENARIOS / "resnet18_cpu.yaml", [*resnet18, "stages.inference.batch.max=1"]),
    }


def measure(scenario: Scenario) -> tuple[float, float, str]:
    """The rate reached, the bottleneck's capacity (both in requests/s), and which stage that is.

    Both of the same batches: those that the bottleneck finished while requests were still being issued, without the
    first fifth, in which the pipeline fills.
    """
    plan = resolve(scenario)
    execution = execute(plan)
    assert execution.status == "completed", execution.error
    records = execution.records
    found = {}
    for stage in plan.stages:
        columns = records.stage(stage.index)
        _, first, sizes = np.unique(columns.batch, return_index=True, return_counts=True)
        order = np.argsort(columns.done[first])
        first, sizes = first[order], sizes[order]
        full = columns.done[first] <= records.issued.max()
        first, sizes = first[full][full.sum() // 5 :], sizes[full][full.sum() // 5 :]
        service_s = float((columns.done - columns.started)[first[1:]].mean()) / 1e9
        span_s = float(np.ptp(columns.done[first])) / 1e9
        capacity = stage.workers * float(sizes[1:].mean()) / service_s
        found[stage.name] = (float(sizes[1:].sum()) / span_s, capacity)
    bottleneck = min(found, key=lambda name: found[name][1])
    return *found[bottleneck], bottleneck


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    print(ROW.format("", "reached", "capacity", "ratio", "target"))
    rows = []
    for name, scenario in cases().items():
        rate, capacity, bottleneck = measure(scenario)
        rows.append({"case": name, "rate_rps": rate, "capacity_rps": capacity, "bottleneck": bottleneck})
        print(
            ROW.format(name, f"{rate:.1f}/s", f"{capacity:.1f}/s", f"{rate / capacity:.3f}", f">= {TARGET}"), flush=True
        )
    if told.json:
        told.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
