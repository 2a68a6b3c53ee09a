"""How often is `harness.stats.comparison` wrong about equal sides, and does it find what was planted?

python -m benchmarks.comparison [--comparisons 400] [--power 50] [--check]

Simulated comparisons of ten pairs of blocks with the compiled twin: one exponential delay stage (M/M/1), and two in a
row, at utilisation 0.5 and 0.8. The blocks of a pair have the same arrivals; service times are drawn anew for each side
(independent), or are the same draws on both (as with the same seed and images).

A against A: a comparison in which any of the metrics is called faster or slower is a false verdict; 5 % of comparisons
may have one. Planted: the service of b's last stage takes longer by the factor that raises the exact p99 of the e2e
latency, by queueing theory, by 5 %. A pilot is compared; when it is inconclusive or declines, a new comparison of the
length that it asks for is made, and so on, four times at most; found means that e2e.p99 is called slower in the end.
At 0.8 with independent services that takes some nine million requests a side, and is left out unless --all is given.
Takes about 6 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness import theory
from harness.records import Ints, RunRecords
from harness.stats.comparison import Comparison, compare_sides
from harness.theory import Prediction
from harness.twin import Demand, Pipeline, Station, compiled
from harness.twin.pipeline import START_NS
from harness.twin.services import whole_ns

BLOCKS = 10
WARMUP = 500
PLENTY = 1 << 14
SLOWDOWN = 1.05
MOST_ROUNDS = 4
REQUESTS = {0.5: 20_000, 0.8: 50_000}
"""A side, of the comparisons of equal sides and of the pilots, by utilisation."""


@dataclass(frozen=True)
class Case:
    """A pipeline of exponential stages. means_s: of each stage's service; same: both sides draw the same services."""

    name: str
    means_s: tuple[float, ...]
    utilisation: float
    same: bool

    @property
    def rate_rps(self) -> float:
        """Offered, so that the last stage, which is the slowest, has the utilisation."""
        return self.utilisation / self.means_s[-1]

    def slower(self, factor: float) -> tuple[float, ...]:
        """Mean services with the last stage slowed down."""
        return (*self.means_s[:-1], self.means_s[-1] * factor)

    def p99_s(self, factor: float = 1.0) -> float:
        """Exact p99 of the sojourn time in the steady state."""
        exact = theory.tandem(self.rate_rps, list(self.slower(factor)))
        assert isinstance(exact, Prediction)
        return exact.sojourn.quantile_s(0.99)

    def planted(self) -> float:
        """The factor on the last stage's service that multiplies the exact p99 by SLOWDOWN."""
        low, high = 1.0, SLOWDOWN
        goal = SLOWDOWN * self.p99_s()
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p99_s(middle) < goal else (low, middle)
        return high


def cases(same: Sequence[bool] = (False, True)) -> list[Case]:
    """Each pipeline at each utilisation."""
    pipelines = {"M/M/1": (1e-3,), "two stages": (6e-4, 1e-3)}
    return [
        Case(name, means, utilisation, equal)
        for equal in same
        for name, means in pipelines.items()
        for utilisation in (0.5, 0.8)
    ]


def compare(case: Case, requests: int, factor: float, seed: Sequence[int]) -> Comparison:
    """One comparison of BLOCKS pairs, with `requests` a side in all; the service of b takes `factor` times as long."""
    a, b = [], []
    for child in np.random.SeedSequence(list(seed)).spawn(BLOCKS):
        arrivals, one, other = child.spawn(3)
        gaps = np.random.default_rng(arrivals).exponential(1e9 / case.rate_rps, WARMUP + -(-requests // BLOCKS))
        due = START_NS + np.cumsum(gaps).astype(np.int64)
        a.append(block(case.means_s, due, one))
        b.append(block(case.slower(factor), due, one if case.same else other))
    return compare_sides(a, b)


def block(means_s: Sequence[float], due: Ints, seed: np.random.SeedSequence) -> RunRecords:
    """The records of one block, from an empty pipeline; the first requests are warm-up."""
    rng = np.random.default_rng(seed)
    services = tuple(whole_ns(rng.exponential(1e9, (len(due), 1)) * mean) for mean in means_s)
    stations = tuple(Station(f"stage{i}", capacity=PLENTY) for i in range(len(means_s)))
    return compiled.simulate(Pipeline(stations), Demand(services, due, warmup=WARMUP))


def false_verdicts(case: Case, comparisons: int, requests: int, seed: int) -> int:
    """How many comparisons of equal sides call something faster or slower."""
    found = (compare(case, requests, 1.0, (seed, number)) for number in range(comparisons))
    return sum(any(e.verdict in ("faster", "slower") for e in comparison.effects) for comparison in found)


def follow(case: Case, factor: float, pilot: int, seed: Sequence[int]) -> tuple[str, int]:
    """The last verdict on e2e.p99 and the length of the last comparison, when each recommendation is followed."""
    requests = pilot
    for round_number in range(MOST_ROUNDS):
        effect = compare(case, requests, factor, (*seed, round_number)).effect("e2e.p99")
        if effect.requests_needed is None or round_number == MOST_ROUNDS - 1:
            break
        requests = max(effect.requests_needed, requests)
    return effect.verdict, requests


HEADS = (
    *("pipeline", "utilisation", "services", "A/A: false verdicts", "planted in the service", "p99 found slower"),
    "requests a side, median",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=400, help="A against A with independent services, in all")
    parser.add_argument("--power", type=int, default=40, help="planted comparisons of each case")
    parser.add_argument("--all", action="store_true", help="planted ones also at 0.8 with independent services")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="exit with 3 when a target is missed")
    args = parser.parse_args()
    begun = time.perf_counter()
    print("| " + " | ".join(HEADS) + " |")
    print("|" + "---|" * len(HEADS))
    each = args.comparisons // len(cases([False]))
    wrong, missed = {False: 0, True: 0}, False
    for number, case in enumerate(cases()):
        requests = REQUESTS[case.utilisation]
        mistakes = false_verdicts(case, each, requests, 1000 * args.seed + number)
        wrong[case.same] += mistakes
        cells = [case.name, f"{case.utilisation:g}", "the same" if case.same else "independent"]
        cells.append(f"{mistakes} of {each}")
        if args.all or case.same or case.utilisation < 0.8:
            factor = case.planted()
            ended = [follow(case, factor, requests, (args.seed, number, i)) for i in range(args.power)]
            found = sum(verdict == "slower" for verdict, _ in ended)
            missed |= found < 0.9 * args.power
            length = int(np.median([requests for _, requests in ended]))
            cells += [f"{factor - 1:+.2%}", f"{found} of {args.power}", f"{length:,}"]
        else:
            cells += ["-"] * 3
        print("| " + " | ".join(cells) + " |", flush=True)
    print()
    for same, count in wrong.items():
        kind = "the same services" if same else "independent services"
        print(f"A against A, {kind}: {count} of {4 * each} comparisons had a false verdict")
    print(f"{time.perf_counter() - begun:.0f} s")
    if args.check and (missed or wrong[False] > 0.07 * args.comparisons):
        sys.exit(3)


if __name__ == "__main__":
    main()
