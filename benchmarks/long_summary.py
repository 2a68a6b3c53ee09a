"""What the summary of a long run costs: the twin makes the rows, a process of its own reads them and summarises.

python -m benchmarks.long_summary                       20 million rows, a few minutes, 2 GB of disk
python -m benchmarks.long_summary --rows 100_000_000    the limits of --check are for so many
python -m benchmarks.long_summary --check               exit code 1 above 2 GB of memory or 10 minutes

Three stages at 1,000 requests/s: M/M/1 at 0.7, batches of up to 4, and a second exponential one. Seconds are those of
that process on one core; memory is the largest resident size that it ever had, libraries included.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report_size import facts
from harness.plan import Plan, resolve
from harness.records import RecordsWriter, load
from harness.scenario import from_mapping
from harness.stats.summary import summarise_run
from harness.studies.predict.crosscheck import ladder, meaning
from harness.twin import Demand, compiled, of_plan

ROWS, PIECE = 20_000_000, 1 << 18
MOST_MB, MOST_S = 2000, 600
SCENARIO = {
    "name": "long_summary",
    "stages": [
        {"delay": {"name": "preprocess", "mean": "700 us", "distribution": "exponential", "capacity": 4096}},
        {
            "delay": {
                "name": "inference",
                "mean": "2 ms",
                "distribution": "constant",
                "capacity": 4096,
                "batch": {"max": 4, "timeout": "1 ms"},
            }
        },
        {"delay": {"name": "postprocess", "mean": "300 us", "distribution": "exponential", "capacity": 4096}},
    ],
    "load": {"arrivals": "poisson", "rate": "1000/s", "requests": 1000, "warmup": 1000},
}
MEAN_GAP_NS = 1e6
MEANS_NS = (700e3, 2000e3, 300e3)
PARTS = {
    ("passes.py", "count"): "all columns, first",
    ("passes.py", "follow_latencies"): "latencies in order",
    ("passes.py", "look_again"): "all columns, again",
    ("intervals.py", "dependent"): "intervals",
    ("crosscheck.py", "ladder"): "models",
    ("crosscheck.py", "meaning"): "what models say",
}


def demands(plan: Plan, rows: int) -> Iterator[Demand]:
    """Poisson arrivals; exponential services, and constant ones in the stage of batches."""
    rng, last = np.random.default_rng(1), 1_000_000_000
    for first in range(0, rows, PIECE):
        count = min(PIECE, rows - first)
        due = last + np.cumsum(np.rint(rng.exponential(MEAN_GAP_NS, count)).astype(np.int64))
        last = int(due[-1])
        services = [
            np.full((count, 1), mean) if stage.batch_max > 1 else rng.exponential(mean, (count, 1))
            for stage, mean in zip(plan.stages, MEANS_NS, strict=True)
        ]
        whole = tuple(np.maximum(np.rint(service), 1).astype(np.int64) for service in services)
        yield Demand(whole, due, warmup=max(0, plan.load.warmup - first))


def write(path: Path, rows: int) -> None:
    """The records of a run of so many rows, as an executor would save them."""
    plan = resolve(from_mapping(SCENARIO))
    with path.open("wb") as file:
        writer = RecordsWriter(file, plan.layout, {"name": plan.scenario.name})
        for piece in compiled.in_pieces(of_plan(plan), demands(plan, rows)):
            writer.append(piece)
        writer.finish()


def summarise(path: Path) -> dict[str, Any]:
    """Summarise a file of records; what it took."""
    began, profile = time.perf_counter(), cProfile.Profile()
    plan, records = resolve(from_mapping(SCENARIO)), load(path)[0]
    with profile:
        summary = summarise_run(plan, records, facts(plan, len(records) - plan.load.warmup, 1e9 / MEAN_GAP_NS))
        rungs = ladder(plan, records)
        said = meaning(plan, records, rungs)
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    seconds = {
        part: stats[key][3]
        for (file, function), part in PARTS.items()
        for key in stats
        if Path(key[0]).name == file and key[2] == function
    }
    return {
        "rows": len(records),
        "seconds": time.perf_counter() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "parts": seconds,
        "e2e_ms": summary.e2e.as_json(),
        "validity": summary.validity,
        "said": said,
    }


def main() -> int:
    """Print the table; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()), help="where the file may lie")
    parser.add_argument("--of", type=Path, help="summarise this file alone, and print JSON")
    parser.add_argument("--check", action="store_true", help=f"exit code 1 above {MOST_MB} MB or {MOST_S} s")
    asked = parser.parse_args()
    if asked.of:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(json.dumps(summarise(asked.of)))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.out) as folder:
        path, began = Path(folder) / "records.parquet", time.perf_counter()
        write(path, asked.rows)
        made_s = time.perf_counter() - began
        print(f"{asked.rows:,} rows made in {made_s:,.0f} s, {path.stat().st_size / 1e9:.2f} GB", flush=True)
        command = [sys.executable, "-m", "benchmarks.long_summary", "--of", str(path)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for part, seconds in found["parts"].items():
        print(f"  {part:24} {seconds:8.1f} s")
    print(f"summary in {found['seconds']:,.0f} s, peak {found['peak_mb']:,.0f} MB; {found['validity']}")
    print(json.dumps(found["e2e_ms"]), *found["said"], sep="\n")
    return int(asked.check and (found["seconds"] > MOST_S or found["peak_mb"] > MOST_MB))


if __name__ == "__main__":
    sys.exit(main())
