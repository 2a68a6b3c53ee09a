"""How late the producer is while its own pipeline keeps every core busy, for each way of being scheduled, interleaved.

    python -m benchmarks.punctuality [--rounds 4] [--json FILE]

The pipeline computes like resnet18's: a preprocessing worker and two of inference that spin, on two cores. Lateness is
issued - due in ms; queues are deep, so nothing else holds the producer up. A way that this user may not have is said to
be refused; for an unprivileged one put before it: setpriv --reuid 65534 --regid 65534 --clear-groups.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from harness.executors.process import punctual
from harness.executors.session import execute
from harness.host.scheduling import Scheduling
from harness.plan import Plan, resolve
from harness.scenario import Scenario

USUAL = "what a run does"
WAYS = {
    "as everybody": (),
    "slice of 0.1 ms": (Scheduling(slice_us=100.0),),
    "nice -10": (Scheduling(nice=-10),),
    "nice -10, slice of 0.1 ms": (Scheduling(nice=-10, slice_us=100.0),),
    "SCHED_FIFO": (Scheduling("SCHED_FIFO", priority=1),),
    USUAL: punctual.WAYS,
}
LEVELS = (0.5, 0.9, 0.99)
ROW = "{:28} {:>9} {:>9} {:>9} {:>14} {:>10}"


def busy(seed: int) -> Plan:
    """Poisson arrivals that keep the two cores busy for some 80 % of the time, for 5 s."""
    spin = {"kind": "delay", "wait": "spin", "distribution": "lognormal", "cv": 0.2, "capacity": 4096}
    return resolve(
        Scenario.model_validate(
            {
                "name": "busy",
                "load": {"arrivals": "poisson", "rate": "40/s", "requests": 200, "warmup": 20, "seed": seed},
                "stages": [
                    {**spin, "name": "preprocess", "mean": "8 ms"},
                    {**spin, "name": "inference", "mean": "32 ms", "workers": 2},
                ],
            }
        )
    )


def lateness_ms(seed: int, way: tuple[Scheduling, ...]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], dict[str, Any]]:
    """Of every request of one run, and what the kernel said of the producer."""
    punctual.WAYS = way  # type: ignore[assignment]
    execution = execute(busy(seed))
    assert execution.status == "completed", execution.error
    return (execution.records.issued - execution.records.due) / 1e6, execution.workers[0].effective["scheduling"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    found: dict[str, list[Any]] = {name: [] for name in WAYS}
    given: dict[str, dict[str, Any]] = {}
    for number in range(told.rounds):
        for name, way in WAYS.items():
            late, given[name] = lateness_ms(number + 1, way)
            found[name].append(late)
    quantiles = {name: np.quantile(np.concatenate(late), LEVELS) for name, late in found.items()}
    usual = quantiles["as everybody"]
    print(f"cores {cores}, load average {os.getloadavg()[0]:.1f}; {told.rounds} rounds of {len(late)} requests")
    print(ROW.format("lateness, ms", "p50", "p90", "p99", "p99 to usual", "kernel"))
    for name, way in WAYS.items():
        kernel = "as asked"
        if name == USUAL:
            kernel = given[name]["policy"]
        elif way:
            asked = asdict(way[0])
            kept = asked.keys() if asked["slice_us"] else asked.keys() - {"slice_us"}
            kernel = kernel if all(given[name][key] == asked[key] for key in kept) else "refused"
        figures = [f"{value:.3f}" for value in quantiles[name]]
        print(ROW.format(name, *figures, f"{quantiles[name][2] / usual[2]:.3f}", kernel))
    if told.json:
        told.json.write_text(json.dumps({n: {"ms": list(quantiles[n]), "kernel": given[n]} for n in WAYS}, indent=2))


if __name__ == "__main__":
    main()
