"""Does a twin that learnt service times at some loads of a real pipeline predict others that it never saw?

    python -m benchmarks.heldout [--rotations 8] [--seconds 25] [--batch 1 4] [--out results/heldout]

Runs of the scenario at utilisations 0.3, 0.45, 0.6 and 0.75 of its capacity, in turns and back (so that a drift of the
machine hits all of them alike); the twin learns from those at 0.3 and 0.6, and is scored on the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from harness.plan import resolve
from harness.report.screens import crosscheck as report
from harness.scenario import load
from harness.store import SavedRun
from harness.studies.predict.heldout import held_out
from harness.studies.run.measure import measure
from harness.units import format_rate

SCENARIO = Path(__file__).parent.parent / "scenarios" / "resnet18_cpu.yaml"
LEARN, SCORE = (0.3, 0.6), (0.45, 0.75)
LOADS = sorted(LEARN + SCORE)


def run(name: str, overrides: list[str], out: Path) -> SavedRun:
    """One measured run."""
    plan = resolve(load(SCENARIO, [f"name={name}", *overrides]))
    measured = measure(plan, SCENARIO.read_text(), out)
    if measured.execution.status != "completed" or measured.saved is None:
        raise SystemExit(f"{name}: {measured.execution.status}: {measured.execution.error or measured.save_error}")
    return measured.saved


def capacity(batch: int, out: Path) -> float:
    """What the pipeline carries when it is saturated, requests/s."""
    closed = "load={arrivals: closed, concurrency: 16, requests: 300, warmup: 20}"
    saved = run(f"capacity-{batch}", [closed, f"stages.inference.batch.max={batch}"], out)
    return saved.summary.throughput_rps or 0.0


def series(batch: int, rotations: int, seconds: float, out: Path) -> dict[float, list[SavedRun]]:
    """Runs of each load, in turns and back."""
    limit = capacity(batch, out)
    print(f"batches of {batch}: {limit:.1f}/s when saturated", flush=True)
    runs: dict[float, list[SavedRun]] = {load: [] for load in LOADS}
    for rotation in range(rotations):
        for at in LOADS if rotation % 2 == 0 else LOADS[::-1]:
            rate = format_rate(at * limit)
            arrivals = f"load={{arrivals: poisson, rate: {rate}, duration: {seconds} s, warmup: 20, seed: {rotation}}}"
            saved = run(f"batch{batch}-{at:g}", [arrivals, f"stages.inference.batch.max={batch}"], out)
            runs[at].append(saved)
            e2e = saved.summary.e2e
            print(f"  {rotation} {at:4g} {rate:>8}  p50 {e2e.p50 or 0:6.1f}  p99 {e2e.p99 or 0:6.1f} ms", flush=True)
    return runs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rotations", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--out", type=Path, default=Path("results/heldout"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for batch in options.batch:
        runs = series(batch, options.rotations, options.seconds, options.out)
        learnt = [saved for at in LEARN for saved in runs[at]]
        result = held_out(learnt, [saved for at in SCORE for saved in runs[at]])
        report.show(Console(highlight=False), result)
        found[batch] = result.as_json()["rows"]
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
