"""The tool's own cost: the null scenario against bare pipes and multiprocessing.Queue, interleaved in one go.

    python -m benchmarks.floor [--rounds 7] [--json FILE]

Latency at 500 requests/s and throughput when saturated, each peer in turn, several rounds; medians over the rounds, and
ratios of those: where the scheduler puts four processes on two cores differs from start to start, for all of them.
All have four processes and three hops; payloads are 602,112 bytes where there are any.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness.clock import now_ns
from harness.executors.session import execute
from harness.plan import resolve
from harness.scenario import load
from harness.stats.quantiles import quantile

SCENARIO = Path(__file__).parent.parent / "scenarios" / "null.yaml"
RATE = 500
SATURATED = 100_000
ROW = "{:44} {:>12} {:>12} {:>12}"


def peer(name: str, requests: int, rate: float = 0) -> dict[str, float]:
    """One run of a peer in a fresh interpreter."""
    command = [sys.executable, "-m", "benchmarks.peers", name, "--requests", str(requests), "--rate", str(rate)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def null(requests: int, rate: float) -> dict[str, Any]:
    """One run of the null scenario at a rate."""
    plan = resolve(
        load(SCENARIO, [f"load.rate={rate}/s", f"load.requests={requests}", f"load.warmup={requests // 10}"])
    )
    execution = execute(plan)
    assert execution.status == "completed", execution.error
    records = execution.records.select(slice(requests // 10, None))
    workers = [w for w in execution.workers if w.stage]
    per_request = [w.last.cpu_s - w.first.cpu_s for w in workers if w.first and w.last]
    return {
        "p50_us": quantile(records.completed - records.due, 0.5) / 1e3,
        "rate_rps": (len(records) - 1) / (np.ptp(records.completed) / 1e9),
        "worker_cpu_us": sum(per_request) / len(workers) / len(execution.records) * 1e6,
        "rss_mb": {w.name: (w.first.rss_mb, w.last.rss_mb) for w in execution.workers if w.first and w.last},
    }


def stamp_cost_us() -> float:
    """What one stage spends on stamps for one request: three clock reads and nine stores, as in the worker's loop."""
    stamps = memoryview(bytearray(8 * 64)).cast("q")
    count = 200_000
    begun = now_ns()
    for _ in range(count):
        now_ns()
        now_ns()
        taken = now_ns()
        stamps[0] = taken
        stamps[1] = taken
        stamps[2] = taken
        stamps[3] = taken
        stamps[4] = taken
        stamps[5] = taken
        stamps[6] = taken
        stamps[7] = taken
        stamps[8] = taken
    return (now_ns() - begun) / count / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    for number in range(told.rounds):
        rounds.append(
            {
                "chain": peer("chain", 2000, RATE),
                "null": null(2000, RATE),
                "queue": peer("queue", 300, 50),
                "chain_saturated": peer("chain", SATURATED),
                "bounded_saturated": peer("bounded", SATURATED),
                "null_saturated": null(SATURATED, 10_000_000),
                "queue_saturated": peer("queue", 500),
                "stamp_us": stamp_cost_us(),
            }
        )
        print(f"round {number + 1} of {told.rounds}", file=sys.stderr)

    def of(key: str, figure: str) -> float:
        return float(median(r[key][figure] for r in rounds))

    def ratio(a: tuple[str, str], b: tuple[str, str]) -> float:
        return of(*a) / of(*b)

    print(ROW.format("", "measured", "ratio", "target"))
    lines = [
        ("e2e p50 at 500/s: bare chain", f"{of('chain', 'p50_us'):.0f} us", "1", ""),
        (
            "e2e p50 at 500/s: null",
            f"{of('null', 'p50_us'):.0f} us",
            f"{ratio(('null', 'p50_us'), ('chain', 'p50_us')):.2f}",
            "<= 1.5",
        ),
        ("saturated: bare chain, 16,384 tokens a pipe", f"{of('chain_saturated', 'rate_rps'):,.0f}/s", "1", ""),
        (
            "saturated: bare chain, 64 slots a hop",
            f"{of('bounded_saturated', 'rate_rps'):,.0f}/s",
            f"{ratio(('bounded_saturated', 'rate_rps'), ('chain_saturated', 'rate_rps')):.2f}",
            "",
        ),
        (
            "saturated: null, 64 slots a hop",
            f"{of('null_saturated', 'rate_rps'):,.0f}/s",
            f"{ratio(('null_saturated', 'rate_rps'), ('chain_saturated', 'rate_rps')):.2f}",
            ">= 0.5",
        ),
        (
            "  the same, to the bounded chain",
            "",
            f"{ratio(('null_saturated', 'rate_rps'), ('bounded_saturated', 'rate_rps')):.2f}",
            "",
        ),
        ("a hop: null, e2e p50 / 3", f"{of('null', 'p50_us') / 3:.1f} us", "1", ""),
        (
            "a hop: multiprocessing.Queue, at 50/s",
            f"{of('queue', 'p50_us') / 3:,.0f} us",
            f"{ratio(('queue', 'p50_us'), ('null', 'p50_us')):.0f}",
            ">= 50",
        ),
        (
            "saturated: multiprocessing.Queue",
            f"{of('queue_saturated', 'rate_rps'):,.0f}/s",
            f"1 / {ratio(('null_saturated', 'rate_rps'), ('queue_saturated', 'rate_rps')):,.0f}",
            "",
        ),
        ("stamps of a stage, a request", f"{median(r['stamp_us'] for r in rounds):.2f} us", "", "<= 2 us"),
        ("a worker's whole CPU time, a request", f"{of('null_saturated', 'worker_cpu_us'):.2f} us", "", ""),
        ("  a bounded bare relay's", f"{of('bounded_saturated', 'relay_cpu_us'):.2f} us", "", ""),
    ]
    for line in lines:
        print(ROW.format(*line))
    first = rounds[0]["null_saturated"]["rss_mb"]
    grown = {name: last - begin for name, (begin, last) in first.items()}
    print(f"resident memory over {SATURATED:,} requests: " + ", ".join(f"{n} {g:+.2f} MB" for n, g in grown.items()))
    if told.json:
        told.json.write_text(json.dumps(rounds, indent=2) + "\n")


if __name__ == "__main__":
    main()
