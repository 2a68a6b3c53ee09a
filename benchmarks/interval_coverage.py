"""How often does a 95 % interval for a quantile of one run hold the true one, and which side is missed?

python -m benchmarks.interval_coverage [--check] [--runs 1000] [--queue 0] [--requests 400 4000] [--level p99]

Prints two Markdown tables. The first one has a row for each queue, quantile and length of a run: how many of the runs
`harness.stats.intervals.dependent` answers, how many of these answers hold the true quantile, and how often that lies
above and below them. A row fails when the 99 % binomial (Clopper-Pearson) interval of its coverage lies outside 93 to
97 %, or that of the misses on one side above 3.5 %. Where less than 2 % of the runs are answered the method as good as
declines: these rows are shown and not judged. Rows marked with * are of others than the four queues that have to pass,
and do not count for --check. The second table says what a short run knows of its own worth: how many independent
requests it says that it is worth and how many it is, how many it says are needed and at what length half of the runs
are answered, and how its p99 compares with the true one: on average, and how often it is lower.

--check ends with status 1 and names the rows that fail. All of it takes some five minutes on a core of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.interval_queues import LognormalSeries, Queue
from harness.stats.intervals import Interval, dependent
from harness.stats.quantiles import rank
from harness.summary import LEVELS

FITTED = [Queue(utilisation, cv) for utilisation in (0.5, 0.8) for cv in (0.3, 1.0)]
OTHERS: list[Queue | LognormalSeries] = [
    Queue(0.3, 1.0),
    Queue(0.9, 1.0),
    Queue(0.8, 2.0),
    Queue(0.8, 1.0, servers=4),
    Queue(0.5, 0.3, lag_one=0.7),
    Queue(0.8, 0.3, lag_one=0.7),
    LognormalSeries(0.7),
    LognormalSeries(0.95),
]
QUEUES = [*FITTED, *OTHERS]
LENGTHS = (400, 1_000, 2_000, 4_000, 10_000, 20_000, 40_000)
SHOWN = ("p50", "p90", "p99")
LEAST, MOST, ON_ONE_SIDE = 0.93, 0.97, 0.035
HARDLY = 0.02
"""Below this share of runs that are answered, a row is not judged."""
MANY = 50
"""Answers below which a percentage would look like a measurement."""

SHORT_QUEUES = [Queue(utilisation, 1.0) for utilisation in (0.5, 0.6, 0.8)]
SHORT = (400, 1_000, 4_000)
WORTH_RUNS = 10_000
LENGTHEN, SEARCHED_RUNS = 1.04, 200


@dataclass(frozen=True)
class Row:
    """What became of the runs of one length: how many, how many answers, how many of these missed on either side.

    half_width: the median one, over the true quantile.
    """

    runs: int
    answers: int
    above: int
    below: int
    half_width: float
    needed: float

    @property
    def held(self) -> int:
        """Answers that hold the true quantile."""
        return self.answers - self.above - self.below

    @property
    def faults(self) -> list[str]:
        """Why the row fails: what more than chance keeps from what it has to be."""
        if self.answers < HARDLY * self.runs or not self.answers:
            return []
        least, most = binomial(self.held, self.answers)
        found = [f"holds in {self.held / self.answers:.1%}"] if most < LEAST or least > MOST else []
        for side, missed in (("above", self.above), ("below", self.below)):
            if binomial(missed, self.answers)[0] > ON_ONE_SIDE:
                found.append(f"true one {side} in {missed / self.answers:.1%}")
        return found

    def cells(self) -> list[str]:
        """Of the table."""
        share = [f"{self.answers / self.runs:.1%}"]
        if self.answers < MANY:
            counts = f"{self.held} of {self.answers}" if self.answers else "-"
            return [*share, counts, *(str(n) if self.answers else "-" for n in (self.above, self.below)), "-"]
        parts = (self.held, self.above, self.below)
        return [*share, *(f"{part / self.answers:.1%}" for part in parts), f"±{self.half_width:.0%}"]


def binomial(count: int, of: int, confidence: float = 0.99) -> tuple[float, float]:
    """Clopper and Pearson's interval for a probability."""
    from scipy.special import betaincinv

    half = (1.0 - confidence) / 2.0
    low = float(betaincinv(count, of - count + 1, half)) if count else 0.0
    return low, float(betaincinv(count + 1, of - count, 1.0 - half)) if count < of else 1.0


def row(answers: Sequence[Interval], truth: float) -> Row:
    """Count answers, one a run."""
    ends = np.array([(a.lo, a.hi) for a in answers if a.answered], dtype=np.float64).reshape(-1, 2)
    return Row(
        runs=len(answers),
        answers=len(ends),
        above=int((ends[:, 1] < truth).sum()),
        below=int((ends[:, 0] > truth).sum()),
        half_width=float(np.median(ends[:, 1] - ends[:, 0])) / truth / 2.0 if len(ends) else 0.0,
        needed=float(np.median([a.needed for a in answers])),
    )


def coverage(
    queue: Queue | LognormalSeries, lengths: Sequence[int], names: Sequence[str], runs: int, seed: int
) -> list[str]:
    """Print a queue's rows as they come; return what of them fails."""
    levels = tuple(LEVELS[name] for name in names)
    truths, errors = queue.quantiles(levels)
    failing = []
    rows: dict[tuple[str, int], Row] = {}
    for requests in lengths:
        found: dict[str, list[Interval]] = {name: [] for name in names}
        for chunk in queue.sojourns(_generator(seed, queue, requests), runs, requests):
            for values in chunk:
                for name, q in zip(names, levels, strict=True):
                    found[name].append(dependent(values, q))
        for name, truth in zip(names, truths, strict=True):
            rows[name, requests] = row(found[name], truth)
    star = "" if queue in FITTED else "*"
    for name, truth, error in zip(names, truths, errors, strict=True):
        for requests in lengths:
            one = rows[name, requests]
            label = f"{queue.name}{star} | {queue.utilisation or '-'} | {name} | {requests:,}"
            fails = "; ".join(one.faults)
            print(f"| {label} | {' | '.join(one.cells())} | {one.needed:,.0f} | {fails} |", flush=True)
            if fails and not star:
                failing.append(f"{queue.name} at {queue.utilisation:g}, {name} of {requests:,}: {fails}")
        if error:
            print(f"{queue.name}: {name} is {truth:.4g} with a standard error of {error / truth:.2%}", file=sys.stderr)
    return failing


def worth(queue: Queue, runs: int, seed: int) -> None:
    """Print what short runs of a queue say of themselves beside what is so."""
    q = LEVELS["p99"]
    (truth,), _ = queue.quantiles((q,))
    answered_at = half_answered(queue, q, seed)
    for requests in SHORT:
        at = rank(requests, q) - 1
        answers: list[Interval] = []
        shown, beyond = [], []
        for chunk in queue.sojourns(_generator(seed + 1, queue, requests), WORTH_RUNS, requests):
            answers += [dependent(values, q) for values in chunk[: max(runs - len(answers), 0)]]
            shown.append(np.partition(chunk, at, axis=1)[:, at])
            beyond.append(np.mean(chunk > truth, axis=1))
        says = float(np.median([a.n_effective for a in answers]))
        needs = float(np.median([a.needed for a in answers]))
        is_worth = q * (1.0 - q) / float(np.var(np.concatenate(beyond)))
        low = np.concatenate(shown) / truth
        cells = [f"{queue.utilisation:g}", f"{requests:,}", f"{says:,.0f}", f"{is_worth:,.0f}", f"{needs:,.0f}"]
        cells += [f"{answered_at:,}", f"{low.mean():.2f}", f"{np.mean(low < 1.0):.0%}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def half_answered(queue: Queue, q: float, seed: int) -> int:
    """Return the shortest length at which half of the runs are answered: to 4 %, from one run cut short."""
    longest = 50_000
    (values,) = (
        [v for chunk in queue.sojourns(_generator(seed + 2, queue, 0), SEARCHED_RUNS, longest) for v in chunk],
    )
    requests = 1_000
    while np.mean([dependent(v[:requests], q).answered for v in values]) < 0.5 and requests < longest:
        requests = round(requests * LENGTHEN)
    return round(requests, -2)


def _generator(seed: int, queue: Queue | LognormalSeries, requests: int) -> np.random.Generator:
    return np.random.default_rng([seed, requests, *queue.key])


def _table(*head: str) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--queue", type=int, nargs="*", default=list(range(len(QUEUES))), help="which, from 0")
    parser.add_argument("--requests", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--level", nargs="+", choices=sorted(LEVELS), default=list(SHOWN))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="end with 1 where a row fails that counts")
    args = parser.parse_args()
    failing = []
    if args.queue:
        sides = ("true one above", "true one below")
        _table(
            "queue", "utilisation", "quantile", "requests", "answered", "held", *sides, "half width", "needs", "fails"
        )
    for index in args.queue:
        failing += coverage(QUEUES[index], args.requests, args.level, args.runs, args.seed)
    print()
    says = ("independent ones, it says", "in truth", "needs, it says", "half of the runs are answered at")
    _table("utilisation", "requests", *says, "its p99 / the true one", "too low in")
    for queue in SHORT_QUEUES:
        worth(queue, args.runs, args.seed)
    for line in failing:
        print(f"fails: {line}", file=sys.stderr)
    return 1 if args.check and failing else 0


if __name__ == "__main__":
    sys.exit(main())
