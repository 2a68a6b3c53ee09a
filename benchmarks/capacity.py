"""`harness capacity` against a brute-force measured search, and against the twin at ten million requests.

python -m benchmarks.capacity            both pipelines, at most 15 minutes on a quiet machine
python -m benchmarks.capacity delay      three delay stages: some 7 minutes
python -m benchmarks.capacity resnet18   the resnet18 scenario with small crops: some 8 minutes

The brute force knows nothing of the twin. Five short runs up to the saturated throughput show about where p99 crosses
the SLO; then it measures at five rates within 8 % of that, twice, with fresh arrivals for each run, and fits a line to
1/p99 over the rate (in a queue with exponential service it is one). Half of these runs come before the tool's search
and half after it, so that a machine that gets slower does so for both. A search that rests on measured p99s alone
needs very many requests: at 15/s, the rate of resnet18 on whole crops, an hour and more. So the crops are small.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.plan import Plan, resolve
from harness.records import Ints, Phase
from harness.scenario import Delay, Scenario, load, with_overrides
from harness.stats.quantiles import quantile
from harness.stats.slo import latencies
from harness.studies.capacity import Goal, Limit, RunResult, State, Step, find
from harness.studies.capacity.curve import Curve, Size, crossing
from harness.studies.capacity.runs import open_load
from harness.studies.predict.forecast import saturated
from harness.studies.run.measure import measure
from harness.studies.variants import AS_GIVEN, Variant
from harness.twin import Pipeline, of_plan
from harness.twin.pooling import pooled
from harness.twin.services import whole_ns
from harness.units import format_rate

SCENARIOS = Path(__file__).parent.parent / "scenarios"
SMALL = ("stages.preprocess.resize=72", "stages.preprocess.crop=64")
COARSE, FINE = (0.55, 0.65, 0.75, 0.85, 0.93), (0.92, 0.96, 1.0, 1.04, 1.08)
RUN_S = 15.0
"""Of the search: `harness capacity --run-length 15s`."""
LOOSE = 2.5
SEEDS = 1000
"""Seeds of the brute force begin here: none of them is one of the search's."""


@dataclass(frozen=True)
class Case:
    """A pipeline, its SLO on p99, and how long the brute force measures at each rate.

    limit_ms: None for LOOSE times what p99 is at the lightest of the coarse loads: the same on a slow machine.
    """

    name: str
    scenario: Scenario
    limit_ms: float | None
    coarse_s: float
    fine_s: float


def delay_case() -> Case:
    """Three delay stages, the second of which is the bottleneck."""
    stages = [
        {"kind": "delay", "name": "pre", "distribution": "lognormal", "cv": 0.5, "mean": "2 ms"},
        {"kind": "delay", "name": "infer", "distribution": "lognormal", "cv": 0.4, "mean": "4 ms"},
        {"kind": "delay", "name": "post", "distribution": "exponential", "mean": "1 ms"},
    ]
    arrivals = {"arrivals": "poisson", "rate": "1/s", "requests": 1, "warmup": 100}
    given = Scenario.model_validate({"name": "three_delays", "stages": stages, "load": arrivals})
    return Case("three delay stages", given, 30.0, 6.0, 20.0)


def resnet18_case(settings: Sequence[str]) -> Case:
    """The scenario as it is committed, with the settings over it."""
    given = load(SCENARIOS / "resnet18_cpu.yaml", settings)
    return Case("resnet18", given, None, 6.0, 20.0)


# ------------------------------------------------------------------ measured runs


class Bench:
    """Measures, counts for how long load was on, and keeps what it saved under one folder."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __call__(self, plan: Plan, settings: Sequence[str] = ()) -> RunResult:
        """A run on the scenario's own executor."""
        done = measure(plan, "".join(f"# --set {s}\n" for s in settings), self._out)
        if done.execution.status != "completed" or done.summary is None:
            raise done.error or KeyboardInterrupt
        return RunResult(done.execution.records, done.summary, str(done.saved.path) if done.saved else "")


@dataclass(frozen=True)
class Point:
    """A measured run of the brute force: its p99, and for how long load was on."""

    rate_rps: float
    p99_ms: float
    seconds: float


def measured(bench: Bench, case: Case, rate_rps: float, seconds: float, seed: int) -> Point:
    """One run at a rate."""
    requests = max(200, round(rate_rps * seconds))
    keys = {"rate": format_rate(rate_rps), "requests": requests, "warmup": requests // 10, "seed": seed}
    ran = bench(resolve(with_overrides(case.scenario, [f"load.{key}={value}" for key, value in keys.items()])))
    records = ran.records
    kept = records.select(records.column("phase") == Phase.MEASURED)
    span = float(records.completed.max() - records.due.min()) / 1e9
    return Point(rate_rps, quantile(latencies(kept), 0.99) / 1e6, span)


def saturation(bench: Bench, case: Case) -> tuple[float, float]:
    """Requests/s that the pipeline carries, and for how long load was on, s."""
    settings = ["load.utilisation=0.5", "load.duration=1s"]
    ran = bench(resolve(with_overrides(case.scenario, settings)))
    span = float(ran.records.completed.max() - ran.records.due.min()) / 1e9
    assert ran.summary is not None and ran.summary.load.calibrated_capacity_rps is not None
    return ran.summary.load.calibrated_capacity_rps, span


def fitted(points: Sequence[Point], limit_ms: float) -> tuple[float, float]:
    """Where the line of limit/p99 over the rate is 1, and the half width of its 95 % interval, relative.

    The interval is Student's from the scatter of the points about the line (delta method).
    """
    from scipy.special import stdtrit

    rates = np.array([p.rate_rps for p in points])
    inverse = np.array([limit_ms / p.p99_ms for p in points])
    design = np.stack([np.ones(len(rates)), rates], axis=1)
    (level, slope), *_ = np.linalg.lstsq(design, inverse, rcond=None)
    answer = float((1 - level) / slope)
    scatter = inverse - design @ (level, slope)
    freedom = len(points) - 2
    covariance = np.linalg.inv(design.T @ design) * float(scatter @ scatter) / freedom
    gradient = np.array([-1 / slope, -answer / slope])
    error = math.sqrt(float(gradient @ covariance @ gradient))
    return answer, float(stdtrit(freedom, 0.975)) * error / answer


def about(points: Sequence[Point], limit_ms: float) -> float:
    """Where p99 crosses the limit between two points, by its logarithm."""
    ordered = sorted(points, key=lambda p: p.rate_rps)
    above = next((i for i, p in enumerate(ordered) if p.p99_ms > limit_ms), None)
    if above is None:
        return ordered[-1].rate_rps
    if above == 0:
        return ordered[0].rate_rps
    low, high = ordered[above - 1], ordered[above]
    share = math.log(limit_ms / low.p99_ms) / math.log(high.p99_ms / low.p99_ms)
    return low.rate_rps + share * (high.rate_rps - low.rate_rps)


# ------------------------------------------------------------------ the near-exact answer


class DrawnAtOnce:
    """Service times of delay stages from a generator: the distributions of `harness.stages.delay`, in arrays."""

    def __init__(self, plan: Plan) -> None:
        self._options = [stage.options for stage in plan.stages]

    def draw(self, pipeline: Pipeline, count: int, rng: np.random.Generator) -> tuple[Ints, ...]:
        """See `harness.twin.services.Services`."""
        return tuple(whole_ns(self._times(options, count, rng))[:, None] for options in self._options)

    def _times(self, options: object, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        assert isinstance(options, Delay)
        if options.distribution == "exponential":
            return rng.exponential(options.mean, count)
        sigma2 = math.log1p(options.cv**2)
        return rng.lognormal(math.log(options.mean) - sigma2 / 2, math.sqrt(sigma2), count)


def near_exact(state: State, requests: int) -> float | None:
    """The twin with the distributions themselves and the hops that the search's runs had; None for other stages."""
    candidate, limits = state.candidates[0], state.goal.limits
    plan = candidate.variant.plan
    if not all(isinstance(stage.options, Delay) for stage in plan.stages):
        return None
    pipeline = of_plan(plan, pooled([e.profile for e in candidate.runs]).overheads)
    services = DrawnAtOnce(plan)
    size = Size(requests=requests // 20, replications=20)
    throughput = saturated(pipeline, services, 1).throughput_rps
    given = Curve(pipeline, services, open_load(plan), limits, size, throughput)
    return crossing(given, candidate.estimate.rate_rps).rate_rps


# ------------------------------------------------------------------ one against the other


def compare(case: Case, requests: int) -> str:
    """Run both; a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        begun = time.monotonic()
        limit_rps, spent = saturation(bench, case)
        coarse = [measured(bench, case, s * limit_rps, case.coarse_s, SEEDS + i) for i, s in enumerate(COARSE)]
        limit_ms = case.limit_ms or round(LOOSE * coarse[0].p99_ms)
        centre = about(coarse, limit_ms)
        say(f"{case.name}: carries {limit_rps:.4g}/s, p99 crosses {limit_ms:g} ms near {centre:.4g}/s")
        first = [measured(bench, case, s * centre, case.fine_s, SEEDS + 10 + i) for i, s in enumerate(FINE)]
        goal = Goal((Limit("p99", round(limit_ms * 1e6)),), run_s=RUN_S)
        finding = find([Variant(Path(), (), (), AS_GIVEN, resolve(case.scenario))], goal, bench, Path(folder), told)
        if finding.error is not None:
            raise finding.error
        second = [measured(bench, case, s * centre, case.fine_s, SEEDS + 20 + i) for i, s in enumerate(FINE)]
        wall = time.monotonic() - begun
    fine = [*first, *second]
    for point in sorted(fine, key=lambda p: p.rate_rps):
        say(f"   brute force {point.rate_rps:8.2f}/s  p99 {point.p99_ms:8.2f} ms")
    brute, brute_half = fitted(fine, limit_ms)
    brute_s = spent + sum(p.seconds for p in (*coarse, *fine))
    found, ours_s = finding.state.candidates[0].estimate, finding.state.measured_s
    exact = near_exact(finding.state, requests)
    return (
        f"| {case.name}, p99 <= {limit_ms:g} ms | {brute:.4g}/s ± {brute_half:.1%} | {brute_s:.0f} s"
        f" | {found.rate_rps:.4g}/s ± {found.half:.1%} | {ours_s:.0f} s | {found.rate_rps / brute - 1:+.1%}"
        f" | {ours_s / brute_s:.2f} | {'-' if exact is None else f'{exact:.4g}/s ({found.rate_rps / exact - 1:+.1%})'}"
        f" | {wall:.0f} s |"
    )


def told(state: State, step: Step | None) -> None:
    """Progress."""
    from rich.console import Console

    from harness.report.live.capacity import progress

    progress(Console(stderr=True, highlight=False), state, step)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


HEAD = (
    "| pipeline, SLO | brute force | under load | harness capacity | under load | apart | share of the time"
    " | twin, 10 million (apart) | wall time |"
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["delay", "resnet18", "both"], default="both")
    parser.add_argument("--requests", type=int, default=10_000_000, help="of the near-exact twin")
    parser.add_argument("--set", dest="settings", action="append", help="instead of the small crops of resnet18")
    parser.add_argument("--slo", type=float, help="limit of resnet18's p99 in ms, instead of one by a light load")
    parser.add_argument("--longer", type=float, default=1.0, help="the brute force's runs by this factor")
    options = parser.parse_args()
    cases = []
    if options.what != "resnet18":
        cases.append(delay_case())
    if options.what != "delay":
        case = resnet18_case(SMALL if options.settings is None else options.settings)
        cases.append(replace(case, limit_ms=options.slo))
    rows = [
        compare(replace(c, coarse_s=c.coarse_s * options.longer, fine_s=c.fine_s * options.longer), options.requests)
        for c in cases
    ]
    print(HEAD, "|---" * 9 + "|", *rows, sep="\n")


if __name__ == "__main__":
    main()
