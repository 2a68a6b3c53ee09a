"""Does a long run take more memory than a short one, and is all of it saved? The null scenario under a closed load.

python -m benchmarks.long_run                          (10 million requests; about ten minutes, 0.5 GB of disk)
python -m benchmarks.long_run --requests 1000000
Prints the resident memory of every process when 100,000 requests had ended and at the end of the load, and of this one
after the summary. Ends with 1 where a process has grown by more than 20 MB meanwhile, or a request is missing or lacks
a stamp.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from harness import host, scenario
from harness.executors.progress import Progress
from harness.plan import resolve
from harness.records import STAMPS, Outcome, RunRecords, stage_columns
from harness.studies.run.measure import Measured, measure

FIRST_LOOK, MOST_MB = 100_000, 20.0


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--executor", default="process")
    parser.add_argument("--out", type=Path, help="where the run is saved; a temporary folder by default, and removed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched()
        begun = time.monotonic()
        done = long_run(asked.requests, asked.executor, asked.out or Path(folder), watched)
        took_s = time.monotonic() - begun
        return report(done, asked.requests, watched, took_s)


class Watched:
    """The resident memory of this process and its children in MB, by name, at the first look and at the last one."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.elapsed_s = 0.0

    def __call__(self, progress: Progress) -> None:
        """Look, once FIRST_LOOK requests have ended."""
        if progress.phase == "running" and progress.ended >= FIRST_LOOK:
            self.last = resident_mb()
            self.first = self.first or self.last
            self.elapsed_s = progress.elapsed_s


def resident_mb() -> dict[str, float]:
    """Of this process and of each of its children, shared memory included."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for file in children for pid in file.read_text().split()]
    found = {}
    for pid in ("self", *pids):
        usage = host.process_usage(int(Path(f"/proc/{pid}/stat").read_text().split()[0]))
        if usage is not None:
            found["harness" if pid == "self" else f"child {pid}"] = usage.rss_mb
    return found


def long_run(requests: int, executor: str, out: Path, observe: Watched) -> Measured:
    """Measure and save it."""
    given = scenario.load(scenario.find("null"))
    load = ["load={arrivals: closed, concurrency: 32, warmup: 500, seed: 1, requests: 1}"]
    changed = scenario.with_overrides(given, [*load, f"load.requests={requests}", f"executor={executor}"])
    return measure(resolve(changed), scenario.dump(changed), out, observe)


def report(done: Measured, requests: int, watched: Watched, took_s: float) -> int:
    """Say what was found; return 1 where it is not as it should be."""
    if done.saved is None or done.error is not None:
        print(f"the run failed: {done.error or done.save_error}")
        return 1
    wanted, found = requests + 500, done.saved.records
    complete = whole(found)
    rate, waited_s = requests / watched.elapsed_s if watched.elapsed_s else 0.0, done.execution.waited_ns / 1e9
    size = sum(file.stat().st_size for file in done.saved.path.iterdir())
    print(f"{requests:,} requests in {watched.elapsed_s:,.1f} s ({rate:,.0f}/s), {took_s:,.1f} s with the summary")
    print(f"{complete:,} of {wanted:,} complete, {size / 1e6:,.1f} MB ({size / wanted:.1f} bytes a request)")
    print(f"the producer waited for the disk {done.execution.waits:,} times, {waited_s:.3f} s in all")
    grown = {name: watched.last[name] - watched.first.get(name, 0.0) for name in watched.last}
    for name, more in grown.items():
        print(f"{name:15} {watched.first.get(name, 0.0):8.1f} MB at {FIRST_LOOK:,}, {more:+6.1f} MB at the end")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{'harness':15} {peak:8.1f} MB at most, with the summary")
    good = complete == wanted == len(found) and bool(grown) and max(grown.values()) <= MOST_MB
    print("good" if good else f"NOT good: every request complete, and at most {MOST_MB:g} MB more, are expected")
    return 0 if good else 1


def whole(records: RunRecords) -> int:
    """How many requests completed and have every stamp."""
    columns = ["outcome", "due", *(name for stage in records.layout.stages for name in stage_columns(stage, *STAMPS))]
    count = 0
    for block in records.blocks(columns):
        good = block.outcome == Outcome.COMPLETED
        for name in columns[1:]:
            good &= block.column(name) > 0
        count += int(good.sum())
    return count


if __name__ == "__main__":
    sys.exit(main())
