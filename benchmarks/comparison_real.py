"""Do real comparisons err as seldom as they claim, and find what is there? About seven minutes.

    python -m benchmarks.comparison_real [--comparisons 10] [--requests 2000] [--json FILE]

A pipeline of two delay stages at utilisation 0.5 is compared with itself, with a new seed each time: whatever is called
faster or slower is a false verdict. Then the service of the second stage is made 10 % longer, which must be found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.studies.compare.document import Pair
from harness.studies.compare.running import Question, compare
from harness.studies.compare.sides import plan_side, prepare

SCENARIO = """\
name: two_delays
load: {arrivals: poisson, rate: 125/s, requests: 2000, warmup: 20}
stages:
  - delay: {name: first, distribution: lognormal, mean: 2 ms, cv: 0.5, capacity: 64}
  - delay: {name: second, distribution: exponential, mean: 4 ms, capacity: 64}
"""
PLANTED = "stages.second.mean=4.4ms"
SERVICE = "stages.second.service.mean"
SHOWN = ("e2e.p50", "e2e.p90", "e2e.p99", "e2e.mean", "throughput", SERVICE)
MOST_FALSE = 1
BLOCKS = 10


def measure(path: Path, own: Sequence[str], requests: int, seed: int) -> Pair:
    """The comparison of the scenario with itself, changed by `own`."""
    sides = prepare(
        [plan_side(path, [f"load.seed={seed}"], each, "--b") for each in ((), tuple(own))],
        blocks=BLOCKS,
        requests=requests,
    )
    compared = compare(sides, Question(), path.parent)
    if compared.error is not None:
        raise compared.error
    return compared.document.comparisons[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--comparisons", type=int, default=10)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "two_delays.yaml")
        path.write_text(SCENARIO)
        print("the same against itself")
        for seed in range(1, told.comparisons + 1):
            pair = measure(path, (), told.requests, seed)
            rows.append(pair)
            counts = Counter(effect.verdict for effect in pair.effects)
            said = ", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items()))
            print(f"  {seed:2}: {said}", flush=True)
        false = sum(any(e.verdict in ("faster", "slower") for e in pair.effects) for pair in rows)
        print(f"with a false verdict: {false} of {len(rows)} (target: at most {MOST_FALSE} of 10)")
        planted = measure(path, [PLANTED], told.requests, told.comparisons + 1)
    print(f"\n{PLANTED} against 4 ms")
    for effect in planted.effects:
        if effect.metric in SHOWN and effect.ratio_interval:
            low, high = effect.ratio_interval
            print(f"  {effect.metric:28} x {effect.ratio:.3f} ({low:.3f} to {high:.3f})  {effect.verdict}")
    found = next(effect for effect in planted.effects if effect.metric == SERVICE).verdict == "slower"
    print(f"found in the service: {'yes' if found else 'no'}")
    if told.json:
        told.json.write_text(
            json.dumps({"same": [pair.as_json() for pair in rows], "planted": planted.as_json()}, indent=2) + "\n"
        )
    raise SystemExit(0 if found and false <= MOST_FALSE else 1)


if __name__ == "__main__":
    main()
