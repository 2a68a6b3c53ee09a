"""Is this version as fast as another one? The benchmarks of the instrument itself, in both checkouts in turns.

    python -m benchmarks.versus ../another/checkout [--rounds 8]

Each checkout runs with the Python of its own `.venv` (else with this one). The order changes from round to round
(AB BA), so that what drifts on the machine meets both. Printed is the ratio of this version to the other one, pair by
pair: the median and the interval between two order statistics that holds the median ratio of such pairs in at least
95 % of the cases (a sign test turned round; with fewer than six rounds there is none).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.stats.intervals import independent

HERE = Path(__file__).resolve().parent.parent
ROW = "{:44} {:>12} {:>12} {:>8} {:>18}"


def floor(document: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Figures of one round of `benchmarks.floor`: the lower the better in us, the higher in requests/s."""
    (found,) = document
    yield "null at 500/s: e2e p50, us", found["null"]["p50_us"]
    yield "null saturated: requests/s", found["null_saturated"]["rate_rps"]
    yield "null saturated: CPU of a stage, us a request", found["null_saturated"]["worker_cpu_us"]
    yield "bare chain at 500/s (the machine), us", found["chain"]["p50_us"]
    yield "bare chain saturated (the machine), requests/s", found["chain_saturated"]["rate_rps"]


def saturation(document: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Figures of `benchmarks.saturation`: which share of its bottleneck's capacity each pipeline reached."""
    for row in document:
        yield f"{row['case']}: reached", row["rate_rps"] / row["capacity_rps"]


BENCHMARKS = {"floor": (("--rounds", "1"), floor), "saturation": ((), saturation)}


def measure(checkout: Path, name: str) -> dict[str, float]:
    """One run of a benchmark in a checkout."""
    arguments, figures = BENCHMARKS[name]
    python = checkout / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [str(python) if python.exists() else sys.executable, "-m", f"benchmarks.{name}", *arguments]
        subprocess.run([*command, "--json", str(file)], cwd=checkout, check=True, capture_output=True)
        return dict(figures(json.loads(file.read_text())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="only this benchmark")
    told = parser.parse_args()
    pairs: dict[str, list[tuple[float, float]]] = {}
    for number in range(told.rounds):
        for name in told.only or BENCHMARKS:
            sides = [HERE, told.other.resolve()]
            turns = sides if number % 2 == 0 else sides[::-1]
            found = {side: measure(side, name) for side in turns}
            for figure, value in found[HERE].items():
                pairs.setdefault(figure, []).append((value, found[told.other.resolve()][figure]))
        print(f"round {number + 1} of {told.rounds}", file=sys.stderr)
    print(ROW.format("", "this", "other", "ratio", "95 % interval"))
    for figure, values in pairs.items():
        this, other = np.array(values).T
        ratios = this / other
        interval = independent(ratios, 0.5)
        ends = f"{interval.lo:.3f} ... {interval.hi:.3f}" if interval.answered else "too few rounds"
        print(
            ROW.format(figure, f"{np.median(this):,.4g}", f"{np.median(other):,.4g}", f"{np.median(ratios):.3f}", ends)
        )


if __name__ == "__main__":
    main()
