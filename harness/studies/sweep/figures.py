"""What the runs of a cell come to together, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints, Outcome, Phase
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.store import SavedRun
from harness.studies.sweep.folder import Entry, SweepFolder
from harness.studies.sweep.spec import Spec

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
LATENCIES = (*LEVELS, "p50_ci", "p99_ci", "p50_ci_from", "p99_ci_from")
CONFIDENCE = 0.95
SPANS = 20
"""Of a run, for the interval on a rate."""
ENOUGH_REPEATS = 3
"""From which on repeats tell how much runs differ from one another."""


@dataclass(frozen=True)
class Repeat:
    """One completed run of a cell. latency_ns: of its measured requests in the order of arrival."""

    summary: Mapping[str, Any]
    latency_ns: Ints
    completed_ns: Ints

    @classmethod
    def of(cls, run: SavedRun) -> Repeat:
        """Read it. Raises UsageError."""
        done = run.records.of_phase(Phase.MEASURED).with_outcome(Outcome.COMPLETED)
        return cls(run.summary, done.completed - done.due, np.sort(done.completed))

    @property
    def verdict(self) -> str:
        """steady, drifting or saturated; closed where that question does not arise."""
        if self.summary["load"]["arrivals"] == "closed":
            return "closed"
        state = self.summary["steady_state"]
        return state["verdict"] if state else "unknown"

    @property
    def carried_rps(self) -> float:
        """Completions per second: in a steady state the share that completed of what was offered.

        To divide by the time until the last completion would charge a cell with the latency of that one request.
        """
        counts = self.summary["requests"]
        if self.verdict in ("steady", "drifting") and self.summary["offered_rps"]:
            return float(self.summary["offered_rps"] * counts["completed"] / counts["issued"])
        state = self.summary["steady_state"]
        return float((state and state["capacity_rps"]) or self.summary["throughput_rps"] or 0.0)


def of_cells(folder: SweepFolder, spec: Spec, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A dictionary for each cell, in their order: how many runs completed, and what they measured."""
    found = []
    for cell in spec.cells:
        mine = [entry for entry in entries if entry.trial.cell == cell]
        runs = [folder.run(entry) for entry in mine if entry.status == "completed"]
        repeats = [Repeat.of(run) for run in runs if run is not None]
        reasons = [entry.reason for entry in mine if entry.status == "failed"]
        found.append(
            {
                "cell": cell,
                "values": spec.values(cell),
                "completed_runs": len(repeats),
                "reason": reasons[0] if reasons else None,
                **(figures(repeats) if repeats else _nothing({entry.status for entry in mine})),
            }
        )
    return found


def figures(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Of the completed runs of a cell together; one of them saturated means that none of its latencies count."""
    verdicts = [repeat.verdict for repeat in repeats]
    verdict = next((v for v in ("saturated", "unknown", "drifting") if v in verdicts), verdicts[0])
    rates = [r.carried_rps for r in repeats]
    busiest = repeats[0].summary["bottleneck"]
    stages = [r.summary["stages"][busiest] for r in repeats if busiest in r.summary["stages"]]
    return {
        "verdict": verdict,
        "offered_rps": _mean([r.summary["offered_rps"] for r in repeats]),
        "throughput_rps": _mean(rates),
        "throughput_ci": _rate_interval(repeats) if verdict in ("saturated", "closed") else None,
        "e2e_ms": dict.fromkeys(LATENCIES) if verdict == "saturated" else latency(repeats),
        "busiest": busiest,
        "utilisation": _mean([stage["utilisation"] for stage in stages]),
        "batch_size": _mean([stage["batch_size"]["mean"] for stage in stages]),
        "dropped": _mean([r.summary["requests"]["dropped"] / max(r.summary["requests"]["issued"], 1) for r in repeats]),
        "slo_met": all(row["met"] for r in repeats for row in r.summary["slo"]) if repeats[0].summary["slo"] else None,
        "validity": max((r.summary["validity"] for r in repeats), key=("ok", "warning", "invalid").index),
    }


def latency(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Quantiles in ms of the requests of all repeats together, and intervals on two of them; `_ci_from` says from what.

    requests: it allows for dependence between them, and for what differs from repeat to repeat. repeats: the requests
    are too few for that; it is on the quantile of a run of this length, which for p99 is lower than that of a long one.
    """
    together = np.concatenate([r.latency_ns for r in repeats])
    if not len(together):
        return dict.fromkeys(LATENCIES)
    found: dict[str, Any] = {key: quantile(together, q) / 1e6 for key, q in LEVELS.items()}
    for key in ("p50", "p99"):
        found[f"{key}_ci"], found[f"{key}_ci_from"] = _interval(together, repeats, LEVELS[key])
    return found


def _interval(together: Ints, repeats: Sequence[Repeat], q: float) -> tuple[list[float] | None, str | None]:
    """In ms, and what it is made from: see `latency`.

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
    made_from = "repeats" if within.lo is None or within.hi is None else "requests"
    return [max(0.0, float(min(ends))) / 1e6, float(max(ends)) / 1e6], made_from


def _rate_interval(repeats: Sequence[Repeat]) -> list[float] | None:
    """Of completions per second: Student's about the mean gap between completions, from means of SPANS spans a run."""
    gaps: list[float] = []
    for repeat in repeats:
        length = (len(repeat.completed_ns) - 1) // SPANS
        if length < 1:
            return None
        edges = repeat.completed_ns[: SPANS * length + 1 : length]
        gaps += (np.diff(edges) / length / 1e9).tolist()
    mean, half = float(np.mean(gaps)), _half_width(np.array(gaps))
    return [1 / (mean + half), 1 / (mean - half)] if half < mean else None


def _half_width(values: NDArray[np.float64]) -> float:
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _nothing(statuses: set[str]) -> dict[str, Any]:
    """Of a cell without a completed run."""
    keys = (
        "offered_rps", "throughput_rps", "throughput_ci", "busiest", "utilisation", "batch_size", "dropped", "slo_met",
        "validity",
    )  # fmt: skip
    verdict = next((status for status in ("failed", "interrupted") if status in statuses), "not run")
    return {"verdict": verdict, **dict.fromkeys(keys), "e2e_ms": dict.fromkeys(LATENCIES)}
