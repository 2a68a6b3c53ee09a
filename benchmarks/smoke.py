"""CI's benchmark: system info, figures, and a row of `harness metrics` a run. Fails on wrong results, not on slow ones.

python -m benchmarks.smoke
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from harness import host
from harness.plan import resolve
from harness.records import Outcome
from harness.report.exports import metrics
from harness.scenario import load
from harness.stats.checks import ordered
from harness.studies.run.measure import measure

SCENARIOS = Path(__file__).parent.parent / "scenarios"
RUNS: tuple[tuple[str, list[str]], ...] = (
    ("smoke", []),
    ("smoke", ["executor=asyncio"]),
    ("smoke", ["stages.preprocess.backend=torchvision"]),
    ("null", ["load.requests=1000"]),
    ("mm1", ["load.requests=500"]),
)


def main() -> int:
    """Return the exit code."""
    machine = host.describe()
    cpu, python = machine["cpu"], machine["python"]
    print(f"{cpu['model']}, {cpu['usable_cores']:g} cores, {machine['platform']['kernel']}, Python {python['version']}")
    print(" ".join(f"{name}=={version}" for name, version in machine["libraries"].items() if version))
    print(f"{'':34} {'p50 ms':>8} {'p99 ms':>8} {'rate':>10}")
    wrong, rows = [], []
    with tempfile.TemporaryDirectory() as out:
        for name, settings in RUNS:
            path = SCENARIOS / f"{name}.yaml"
            done = measure(resolve(load(path, settings)), path.read_text(encoding="utf-8"), Path(out))
            if done.summary is None:
                raise SystemExit(str(done.error))
            rate = done.summary.throughput_rps or 0
            label = " ".join((name, *settings))
            e2e, counts = done.summary.e2e, done.summary.requests
            print(f"{label:34.34} {e2e.p50 or 0:8.3f} {e2e.p99 or 0:8.3f} {rate:8.1f}/s")
            records = done.execution.records
            if done.execution.status != "completed" or done.saved is None:
                wrong.append(f"{label}: {done.execution.error or done.save_error}")
            elif counts.completed != counts.issued or ordered(records).level != "ok":
                wrong.append(f"{label}: requests lost or stamps out of order")
            elif (done.saved.records.rows != records.rows).any():
                wrong.append(f"{label}: the saved records differ from the run's")
            elif (records.outcome != Outcome.COMPLETED).any():
                wrong.append(f"{label}: not every request completed")
            if done.saved is not None:
                rows.append(metrics.row(done.saved.path.name, done.saved.summary))
    print(f"\n{metrics.table(rows)}\n")
    print("\n".join(wrong) or "all results are as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
