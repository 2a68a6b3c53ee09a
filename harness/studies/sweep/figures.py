"""What the runs of a variant come to together, with intervals."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, Outcome, Phase
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.store import SavedRun
from harness.studies.predict.document import Interval
from harness.studies.sweep.document import VariantLatency, VariantResult, Verdict
from harness.studies.sweep.folder import Entry, SweepFolder
from harness.studies.sweep.spec import Spec
from harness.studies.sweep.trials import Value
from harness.summary import Summary

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
CONFIDENCE = 0.95
SPANS = 20
"""Parts of a run, for the interval on a rate."""
ENOUGH_REPEATS = 3
"""The fewest repeats that tell how much runs differ from one another."""


@dataclass(frozen=True)
class Repeat:
    """One completed run of a variant. latency_ns: e2e, of its measured requests in the order of arrival."""

    summary: Summary
    latency_ns: Ints
    completed_ns: Ints

    @classmethod
    def of(cls, run: SavedRun) -> Repeat:
        """Read a run. Raises UsageError."""
        done = run.records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
        return cls(run.summary, done.completed - done.due, np.sort(done.completed))

    @property
    def verdict(self) -> Verdict:
        """steady, drifting or saturated; closed for a closed load; unknown where too few requests tell."""
        if self.summary.load.arrivals == "closed":
            return "closed"
        state = self.summary.steady_state
        return state.verdict if state else "unknown"

    @property
    def carried_rps(self) -> float:
        """Completions per second: in a steady state the offered rate times the share that completed.

        Dividing by the time until the last completion would charge the variant with the latency of that one request.
        """
        counts, offered_rps = self.summary.requests, self.summary.offered_rps
        if self.verdict in ("steady", "drifting") and offered_rps:
            return offered_rps * counts.completed / counts.issued
        state = self.summary.steady_state
        return (state and state.capacity_rps) or self.summary.throughput_rps or 0.0


def of_variants(folder: SweepFolder, spec: Spec, entries: Sequence[Entry]) -> list[VariantResult]:
    """Every variant in its order: how many of its runs completed, and what they measured."""
    found = []
    for number in spec.variants:
        mine = [entry for entry in entries if entry.trial.variant == number]
        runs = [folder.run(entry) for entry in mine if entry.status == "completed"]
        repeats = [Repeat.of(run) for run in runs if run is not None]
        reason = next((entry.reason for entry in mine if entry.status == "failed"), None)
        values = spec.values(number)
        if repeats:
            found.append(measured(number, values, repeats, reason))
        else:
            found.append(
                VariantResult(
                    number=number,
                    values=values,
                    completed_runs=0,
                    reason=reason,
                    verdict=_without_a_run({entry.status for entry in mine}),
                )
            )
    return found


def measured(
    number: int, values: Mapping[str, Value], repeats: Sequence[Repeat], reason: str | None = None
) -> VariantResult:
    """The completed runs of a variant together; where one of them is saturated, none of their latencies count."""
    verdicts = [repeat.verdict for repeat in repeats]
    worst: tuple[Verdict, ...] = ("saturated", "unknown", "drifting")
    verdict = next((v for v in worst if v in verdicts), verdicts[0])
    summaries = [repeat.summary for repeat in repeats]
    busiest = summaries[0].bottleneck
    stages = [summary.stages[busiest] for summary in summaries if busiest in summary.stages]
    return VariantResult(
        number=number,
        values=values,
        completed_runs=len(repeats),
        reason=reason,
        verdict=verdict,
        offered_rps=_mean([summary.offered_rps for summary in summaries]),
        throughput_rps=_mean([repeat.carried_rps for repeat in repeats]),
        throughput_interval=_rate_interval(repeats) if verdict in ("saturated", "closed") else None,
        e2e_ms=VariantLatency() if verdict == "saturated" else latency(repeats),
        busiest=busiest,
        utilisation=_mean([stage.utilisation for stage in stages]),
        batch_size=_mean([stage.batch_size.mean for stage in stages]),
        dropped=_mean([s.requests.dropped / max(s.requests.issued, 1) for s in summaries]),
        slo_met=all(row.met for s in summaries for row in s.slo) if summaries[0].slo else None,
        validity=max((s.validity for s in summaries), key=("ok", "warning", "invalid").index),
    )


def latency(repeats: Sequence[Repeat]) -> VariantLatency:
    """Quantiles of the requests of all repeats together, and intervals on p50 and p99."""
    together = np.concatenate([r.latency_ns for r in repeats])
    if not len(together):
        return VariantLatency()
    p50, p50_from = _interval(together, repeats, LEVELS["p50"])
    p99, p99_from = _interval(together, repeats, LEVELS["p99"])
    return VariantLatency(
        **{key: quantile(together, q) / 1e6 for key, q in LEVELS.items()},
        p50_interval=p50,
        p50_interval_from=p50_from,
        p99_interval=p99,
        p99_interval_from=p99_from,
    )


def _interval(
    together: Ints, repeats: Sequence[Repeat], q: float
) -> tuple[Interval | None, Literal["requests", "repeats"] | None]:
    """In ms, and what it is made from, see `VariantLatency`.

    What differs from run to run, no single run shows: where there are enough repeats, the interval holds Student's
    about the mean of their own quantiles, which are independent of one another however short the runs are.
    """
    within = dependent(together, q, CONFIDENCE)
    ends = [] if within.lo is None or within.hi is None else [within.lo, within.hi]
    each = np.array([quantile(r.latency_ns, q) for r in repeats if len(r.latency_ns)])
    if len(each) >= ENOUGH_REPEATS:
        mean, half = each.mean(), _half_width(each)
        # With the quantile of all requests together, which stands beside it and is another estimate.
        ends += [mean - half, mean + half, *([] if ends else [quantile(together, q)])]
    if not ends:
        return None, None
    interval = max(0.0, float(min(ends))) / 1e6, float(max(ends)) / 1e6
    return interval, "repeats" if within.lo is None or within.hi is None else "requests"


def _rate_interval(repeats: Sequence[Repeat]) -> Interval | None:
    """Interval on the completions per second: Student's on the mean gap between them, from SPANS spans a run."""
    gaps: list[float] = []
    for repeat in repeats:
        length = (len(repeat.completed_ns) - 1) // SPANS
        if length < 1:
            return None
        edges = repeat.completed_ns[: SPANS * length + 1 : length]
        gaps += (np.diff(edges) / length / 1e9).tolist()
    mean, half = float(np.mean(gaps)), _half_width(np.array(gaps))
    return (1 / (mean + half), 1 / (mean - half)) if half < mean else None


def _half_width(values: NDArray[np.float64]) -> float:
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _without_a_run(statuses: Collection[str]) -> Verdict:
    order: tuple[Verdict, ...] = ("failed", "interrupted")
    return next((status for status in order if status in statuses), "not run")
