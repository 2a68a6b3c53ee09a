"""How fast the two models of the pipeline are, and how close the compiled one comes to theory.

python -m benchmarks.twin speed
python -m benchmarks.twin theory --requests 100000000      (some ten minutes on one core)
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import theory
from harness.records import DONE, DUE, Ints, Outcome
from harness.stats.quantiles import quantile
from harness.theory import NoSteadyState, Prediction
from harness.twin import Demand, Pipeline, Station, compiled, model
from harness.twin.pipeline import START_NS, blank_rows

SERVICE_S = 1e-3
CHUNK, WARMUP = 500_000, 10_000
PLENTY = 1 << 14
RESOLUTION = 5e-5  # relative width of the histogram's bins


def speed(rounds: int = 5) -> None:
    """Both models on one pipeline, in turns: three stages that block, the middle one batching."""
    stations = (Station("first"), Station("second", batch_max=4, batch_timeout_ns=5_000_000), Station("third"))
    three = Pipeline(stations)
    two_workers = Pipeline((stations[0], Station("second", 2, batch_max=4, batch_timeout_ns=5_000_000), stations[2]))
    short, long = demand(20_000), demand(500_000)
    fill(three, long)
    fill(two_workers, long)
    print("requests/s, CPU time of one core, in turns")
    print(f"{'simpy':>12} {'compiled':>12} {'ratio':>8} {'2 workers':>12} {'ratio':>8}")
    for _ in range(rounds):
        slow = len(short) / cpu_s(lambda: model.simulate(three, short))
        fast = len(long) / fill(three, long)
        general = len(long) / fill(two_workers, long)
        print(f"{slow:12,.0f} {fast:12,.0f} {fast / slow:8.0f} {general:12,.0f} {general / slow:8.0f}")


def demand(count: int) -> Demand:
    """Poisson arrivals at 0.8 of what the slowest stage carries."""
    rng = np.random.default_rng(1)
    due = START_NS + np.cumsum(rng.exponential(18e6, count)).astype(np.int64)
    middle = rng.exponential(15e6, (count, 1)) * (1.0, 1.6, 2.2, 2.8)
    times = rng.exponential(14e6, (count, 1)), middle, rng.exponential(2e6, (count, 1))
    return Demand(tuple(t.astype(np.int64) + 1 for t in times), due)


def fill(pipeline: Pipeline, asked: Demand) -> float:
    """CPU seconds of the compiled model alone, in rows that are there."""
    rows = blank_rows(pipeline, asked)
    return cpu_s(lambda: compiled.fill(pipeline, asked, rows))


def cpu_s(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    before = time.process_time()
    call()
    return time.process_time() - before


# ------------------------------------------------------------------ against theory


@dataclass(frozen=True)
class Case:
    """A queue with a known answer. draw: standard service times with mean 1, shape (n,)."""

    name: str
    pipeline: Pipeline
    draw: Callable[[np.random.Generator, int], NDArray[np.float64]]
    exact: Callable[[float], Prediction | NoSteadyState]


def cases() -> list[Case]:
    """Those of the issue: rate in requests/s."""

    def one(workers: int = 1, capacity: int = PLENTY, shed: bool = False) -> Pipeline:
        return Pipeline((Station("s", workers, capacity),), shed)

    def constant(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return np.ones(n)

    def exponential(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return rng.standard_exponential(n)

    def sampled(points: NDArray[np.float64]) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
        return lambda rng, n: points[rng.integers(0, len(points), n)]

    lognormal = np.random.default_rng(3).lognormal(-0.32, 0.8, 5000)
    two_point = np.repeat([0.5, 5.5], [90, 10])
    both = Pipeline((Station("a", capacity=PLENTY), Station("b", capacity=PLENTY)))
    return [
        Case("M/M/1", one(), exponential, lambda rate: theory.mm1(rate, SERVICE_S)),
        Case("M/M/2", one(2), exponential, lambda rate: theory.mmc(rate, SERVICE_S, 2)),
        Case("M/D/1", one(), constant, lambda rate: theory.md1(rate, SERVICE_S)),
        Case("M/M/1/8", one(1, 8, True), exponential, lambda rate: theory.mm1k(rate, SERVICE_S, 8)),
        Case("tandem", both, exponential, lambda rate: theory.tandem(rate, [SERVICE_S] * 2)),
        *(
            Case(
                f"M/G/1 {name}",
                one(),
                sampled(points / points.mean()),
                lambda rate, points=points: theory.mg1(rate, points / points.mean() * SERVICE_S),  # type: ignore[misc]
            )
            for name, points in (("lognormal", lognormal), ("two-point", two_point))
        ),
    ]


class Histogram:
    """Latencies in bins of a fixed relative width; constant memory."""

    def __init__(self) -> None:
        self.counts = np.zeros(math.ceil(math.log(1e13) / math.log1p(RESOLUTION)), np.int64)

    def add(self, latency_ns: Ints) -> None:
        """Count latencies in ns."""
        bins = (np.log(latency_ns) / math.log1p(RESOLUTION)).astype(np.int64)
        self.counts += np.bincount(bins, minlength=len(self.counts))

    def quantile_s(self, q: float) -> float:
        """The middle of the bin that holds the quantile, s."""
        cumulated = np.cumsum(self.counts)
        place = int(np.searchsorted(cumulated, q * cumulated[-1]))
        return math.exp((place + 0.5) * math.log1p(RESOLUTION)) / 1e9


def against_theory(requests: int) -> None:
    """p99 of the sojourn time, and what is lost where requests are refused."""
    print(f"{requests:,} requests each, in independent parts of {CHUNK:,}; se: standard error from these")
    heads = ("load", 5), ("exact p99", 11), ("simulated", 11), ("apart", 8), ("se", 7), ("p50 apart", 10), ("Mreq/s", 7)
    print(f"{'':16} " + " ".join(f"{head:>{width}}" for head, width in heads))
    for case in cases():
        for utilisation in (0.5, 0.8):
            print(line(case, utilisation, requests), flush=True)


def line(case: Case, utilisation: float, requests: int) -> str:
    """One line of the table."""
    rate = utilisation * case.pipeline.stations[0].workers / SERVICE_S
    exact = case.exact(rate)
    assert isinstance(exact, Prediction)
    histogram, parts, lost = Histogram(), [], 0
    begun = time.process_time()
    rows = None
    for seed in np.random.SeedSequence(11).spawn(max(2, requests // CHUNK)):
        rng = np.random.default_rng(seed)
        asked = Demand(
            tuple(whole(case.draw(rng, CHUNK) * SERVICE_S * 1e9)[:, None] for _ in case.pipeline.stations),
            START_NS + np.cumsum(rng.standard_exponential(CHUNK) * (1e9 / rate)).astype(np.int64),
        )
        rows = fresh(case.pipeline, asked, rows)
        compiled.fill(case.pipeline, asked, rows)
        layout = case.pipeline.layout
        settled = rows[WARMUP:]
        done = settled[settled[:, layout.columns["outcome"]] == Outcome.COMPLETED]
        latency = done[:, layout.base(-1) + DONE] - done[:, DUE]
        histogram.add(latency)
        parts.append(quantile(latency, 0.99))
        lost += len(settled) - len(done)
    took = time.process_time() - begun
    p99, found = exact.sojourn.quantile_s(0.99), histogram.quantile_s(0.99)
    apart = histogram.quantile_s(0.5) / exact.sojourn.quantile_s(0.5) - 1
    error = np.std(parts, ddof=1) / math.sqrt(len(parts)) / np.mean(parts)
    loss = f"  lost {lost / (len(parts) * (CHUNK - WARMUP)):.3%}, exactly {exact.loss:.3%}" if exact.loss else ""
    figures = f"{p99 * 1e3:8.4f} ms {found * 1e3:8.4f} ms {found / p99 - 1:+8.2%} {error:7.2%} {apart:+10.2%}"
    return f"{case.name:16} {utilisation:5.1f} {figures} {len(parts) * CHUNK / took / 1e6:7.1f}{loss}"


def whole(times_ns: NDArray[np.float64]) -> Ints:
    """Whole ns, at least 1."""
    return np.maximum(np.rint(times_ns), 1).astype(np.int64)


def fresh(pipeline: Pipeline, asked: Demand, rows: Ints | None) -> Ints:
    """Rows for the next part, in the memory of the last."""
    if rows is None or asked.due_ns is None:
        return blank_rows(pipeline, asked)
    rows[:] = 0
    rows[:, 0] = asked.due_ns
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "theory"])
    parser.add_argument("--requests", type=int, default=100_000_000)
    options = parser.parse_args()
    if options.what == "speed":
        speed()
    else:
        against_theory(options.requests)


if __name__ == "__main__":
    main()
