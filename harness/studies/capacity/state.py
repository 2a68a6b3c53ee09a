"""What a search is asked for, and what it knows: its variants, their measured runs, and what these say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.plan import Plan
from harness.records import RunRecords
from harness.studies.capacity.curve import Crossing, Size
from harness.studies.capacity.document import Purpose, Status
from harness.studies.capacity.evidence import NONE, Estimate, Evidence, combine
from harness.studies.capacity.runs import largest_batch, threads, work_of
from harness.studies.capacity.slo import Limit
from harness.studies.variants import Variant
from harness.summary import Summary

TRUST = 0.2
"""How far a prediction may be off without its variant being passed over: a relative half width."""
START_UP_S = 3.0
"""How long a run takes besides its load, until one was measured."""
DEFAULT_SIZE = Size()


@dataclass(frozen=True)
class Goal:
    """What is asked for. within: half the width of the interval on the result, relative.

    run_s: length of the first measured runs. time_limit_s: wall time after which no run begins.
    """

    limits: tuple[Limit, ...]
    within: float = 0.05
    run_s: float = 20.0
    time_limit_s: float = math.inf
    size: Size = DEFAULT_SIZE


@dataclass(frozen=True)
class RunResult:
    """A measured run, from any executor. error: why it failed; signal: what interrupted it, else 0."""

    records: RunRecords
    summary: Summary | None
    path: str
    error: HarnessError | None = None
    signal: int = 0


Measure = Callable[[Plan, Sequence[str]], RunResult]
"""Executes a Plan. The second argument are the overrides that make it of the scenario, except those of all variants."""


@dataclass(frozen=True)
class Step:
    """One run to measure. overrides: its load. rate_rps: None where it measures the saturated rate first."""

    candidate: int
    purpose: Purpose
    rate_rps: float | None
    seconds: float
    overrides: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Candidate:
    """A variant and what is known of it.

    work: see `runs.work_of`. predicted: by the twin. failed: why it could not be measured.
    """

    variant: Variant
    work: str
    predicted: Crossing | None = None
    evidence: tuple[Evidence, ...] = ()
    failed: HarnessError | None = None

    @classmethod
    def of(cls, variant: Variant) -> Candidate:
        """A variant of which nothing is known yet."""
        return cls(variant, work_of(variant.plan))

    @property
    def runs(self) -> tuple[Evidence, ...]:
        """The measured runs, without those from which service times are learnt."""
        return tuple(e for e in self.evidence if e.purpose != "calibrate")

    @property
    def estimate(self) -> Estimate:
        """By its measured runs; as long as there are none, the twin's prediction, to within TRUST."""
        if self.runs:
            return combine(self.evidence)
        if self.predicted is None or not self.predicted.rate_rps:
            return NONE
        rate_rps = self.predicted.rate_rps
        return Estimate(rate_rps, rate_rps / (1 + TRUST), rate_rps * (1 + TRUST), TRUST)


@dataclass(frozen=True)
class State:
    """All that a search knows.

    overhead_s: how long the last run took besides its load, its evaluation included. last: index of its candidate.
    signal: what interrupted the search, else 0.
    """

    goal: Goal
    candidates: tuple[Candidate, ...]
    status: Status = "searching"
    elapsed_s: float = 0.0
    overhead_s: float = START_UP_S
    last: int | None = None
    signal: int = 0

    @property
    def alive(self) -> list[int]:
        """Indices of candidates that did not fail."""
        return [i for i, c in enumerate(self.candidates) if c.failed is None]

    @property
    def leader(self) -> int | None:
        """Index of the candidate with the highest estimate; None when no load is known that keeps the SLO."""
        best = max(self.alive, key=lambda i: self.candidates[i].estimate.rate_rps, default=None)
        return best if best is not None and self.candidates[best].estimate.rate_rps > 0 else None

    @property
    def measured_s(self) -> float:
        """How long the pipeline was under load, all runs together."""
        return sum(e.seconds for c in self.candidates for e in c.evidence)

    @property
    def left_s(self) -> float:
        """How much of the time limit is left for the load of a run."""
        return self.goal.time_limit_s - self.elapsed_s - self.overhead_s

    def group(self, index: int) -> list[int]:
        """Candidates that share the service times of one, those first that say most about the others.

        The fewest threads first: where a variant with little contention for cores teaches the twin, it predicts the
        others too well, so that a measurement corrects it; the opposite error would pass them over. Then the largest
        batches.
        """
        own = self.candidates[index].work
        same = [i for i, c in enumerate(self.candidates) if c.work == own]
        plans = [c.variant.plan for c in self.candidates]
        return sorted(same, key=lambda i: (threads(plans[i]), -largest_batch(plans[i]), i))
