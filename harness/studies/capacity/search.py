"""Which run to measure next, and what is known after it. The loop takes the measuring as an argument."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.errors import HarnessError
from harness.plan import Plan
from harness.records import RunRecords
from harness.studies.capacity.configurations import Configuration
from harness.studies.capacity.curve import Crossing, Size, crossing, curve, smaller
from harness.studies.capacity.evidence import DRIFT, NONE, Estimate, Evidence, combine, lost_share, weigh
from harness.studies.capacity.slo import Limit
from harness.twin.pooling import pooled

LIGHT, LOADED = 0.5, 0.9
"""Shares of the capacity at which service times are learnt: they may grow with the load."""
TRUST = 0.2
"""How far a prediction may be off without its configuration being passed over: a relative half width."""
FEWEST_RUNS, MOST_RUNS = 2, 12
FEWEST_REQUESTS = 300
LONGEST = 6
"""Times the length of the first runs."""
SHORTEST_S = 4.0
WARMUP_SHARE = 0.1
START_UP_S = 3.0
"""What a run takes besides its load, until one was seen."""

DEFAULT_SIZE = Size()

Purpose = Literal["calibrate", "lower edge", "upper edge", "most hopeful"]
Status = Literal["searching", "answered", "budget spent", "runs spent", "interrupted", "failed"]


@dataclass(frozen=True)
class Goal:
    """What is asked. within: the half width of the answer's interval, relative. run_s: length of the first runs.

    budget_s: wall time, after which no run is begun.
    """

    limits: tuple[Limit, ...]
    within: float = 0.05
    run_s: float = 20.0
    budget_s: float = math.inf
    size: Size = DEFAULT_SIZE


@dataclass(frozen=True)
class RunResult:
    """A measured run, from whatever executor. error: why it failed; signal: what interrupted it, else 0."""

    records: RunRecords
    summary: Mapping[str, Any]
    path: str
    error: HarnessError | None = None
    signal: int = 0


Measure = Callable[[Plan, Sequence[str]], RunResult]
"""Executes a Plan; the second argument are all settings over the scenario's file that it came from."""


@dataclass(frozen=True)
class Step:
    """One run to measure. overrides: the load; rate_rps: None where it finds the capacity itself first."""

    candidate: int
    purpose: Purpose
    rate_rps: float | None
    seconds: float
    overrides: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Candidate:
    """A configuration and what is known of it. failed: why it could not be measured."""

    configuration: Configuration
    predicted: Crossing | None = None
    evidence: tuple[Evidence, ...] = ()
    failed: HarnessError | None = None

    @property
    def runs(self) -> tuple[Evidence, ...]:
        """Evidence beyond the calibration."""
        return tuple(e for e in self.evidence if e.purpose != "calibrate")

    @property
    def estimate(self) -> Estimate:
        """By its measured runs; as long as there are none, what the twin predicts, to within TRUST."""
        if self.runs:
            return combine(self.evidence)
        if self.predicted is None or not self.predicted.rate_rps:
            return NONE
        rate_rps = self.predicted.rate_rps
        return Estimate(rate_rps, rate_rps / (1 + TRUST), rate_rps * (1 + TRUST), TRUST)


@dataclass(frozen=True)
class State:
    """All that is known.

    overhead_s: what the last run took besides its load, with what was made of it. last: whose it was. signal: what
    interrupted it, else 0.
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
        """Index of the candidate that carries most, by what is known; None when no load is known that keeps the SLO."""
        best = max(self.alive, key=lambda i: self.candidates[i].estimate.rate_rps, default=None)
        return best if best is not None and self.candidates[best].estimate.rate_rps > 0 else None

    @property
    def measured_s(self) -> float:
        """For how long load was on, all runs together."""
        return sum(e.seconds for c in self.candidates for e in c.evidence)

    def group(self, index: int) -> list[int]:
        """Candidates that share the service times of one, those first that say most about the others.

        Least threads first (what shares no cores is predicted too well and then corrected by a measurement, instead
        of passed over), then the largest batches.
        """
        own = self.candidates[index].configuration.services
        same = [i for i, c in enumerate(self.candidates) if c.configuration.services == own]
        shapes = [c.configuration for c in self.candidates]
        return sorted(same, key=lambda i: (shapes[i].threads, -shapes[i].largest_batch, i))


def search(
    configurations: Sequence[Configuration],
    goal: Goal,
    measure: Measure,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[State, Step | None]]:
    """Yield what is known, with the run that is measured next; None with the last.

    A configuration whose run fails is out; the others go on. Ends when the answer is narrow enough, the budget is
    spent, or a run was interrupted. Raises what `measure` raises.
    """
    begun = clock()
    state = State(goal, tuple(Candidate(c) for c in configurations))
    while (step := next_step(state)) is not None:
        yield state, step
        configuration = state.candidates[step.candidate].configuration
        plan = configuration.at(step.overrides)
        ran = measure(plan, (*configuration.settings, *step.overrides))
        before = state
        state = absorb(before, step, plan, ran)
        elapsed_s = clock() - begun
        overhead_s = elapsed_s - before.elapsed_s - (state.measured_s - before.measured_s)
        state = replace(state, elapsed_s=elapsed_s, overhead_s=max(overhead_s, 0.0))
    yield replace(state, status=ended(state)), None


def next_step(state: State) -> Step | None:
    """The run to measure next; None when the search is over."""
    if state.status == "interrupted":
        return None
    return (_calibration(state) or _finalist(state)) if _left_s(state) >= SHORTEST_S else None


def absorb(state: State, step: Step, plan: Plan, ran: RunResult) -> State:
    """What is known with one more run."""
    state = replace(state, last=step.candidate)
    candidate = state.candidates[step.candidate]
    if ran.signal:
        return replace(state, status="interrupted", signal=ran.signal)
    if ran.error is not None:
        return _failed(state, step, ran.error)
    try:
        found = weigh(
            plan,
            ran.records,
            ran.summary,
            state.goal.limits,
            state.goal.size,
            settings=candidate.configuration.settings,
            path=ran.path,
            purpose=step.purpose,
        )
    except ValueError as error:
        return _failed(state, step, HarnessError(str(error)))
    state = _with(state, step.candidate, replace(candidate, evidence=(*candidate.evidence, found)))
    complete = step.purpose == "calibrate" and len(state.candidates[step.candidate].evidence) == 2
    return _predicted(state, step.candidate) if complete else state


def ended(state: State) -> Status:
    """How a search ended for which there is no next step."""
    if state.status == "interrupted":
        return "interrupted"
    if not state.alive:
        return "failed"
    step = _calibration(state) or _finalist(state)
    if step is not None:
        return "budget spent"
    return "answered" if all(_settled(state, i) for i in _contenders(state)) else "runs spent"


# ------------------------------------------------------------------ which run


def _calibration(state: State) -> Step | None:
    """The next run to learn service times from: two a group, the first of which also finds the capacity."""
    for index in state.alive:
        if state.candidates[index].predicted is not None:
            continue
        first = next(i for i in state.group(index) if state.candidates[i].failed is None)
        configuration, known = state.candidates[first].configuration, state.candidates[first].evidence
        seconds = state.goal.run_s / 2
        if known:
            rate_rps = LOADED * _throughput(known[0])
            return _step(state, first, "calibrate", rate_rps, seconds, f"service times at {LOADED:.0%} of its capacity")
        overrides = tuple(configuration.exploring(LIGHT, seconds))
        seconds += configuration.load.calibration / 1e9
        why = f"its capacity, and service times at {LIGHT:.0%} of it"
        return Step(first, "calibrate", None, seconds, overrides, why)
    return None


def _throughput(evidence: Evidence) -> float:
    """What was carried saturated, as measured, else as the twin has it."""
    return float(evidence.summary["load"]["calibrated_capacity_rps"] or evidence.throughput_rps)


def _finalist(state: State) -> Step | None:
    """The next run at an edge of a bracket: of the contender that may carry most."""
    if state.leader is None:
        return _most_hopeful(state)
    open_ones = [i for i in _contenders(state) if not _settled(state, i) and not _spent(state, i)]
    if not open_ones:
        return None
    index = max(open_ones, key=lambda i: state.candidates[i].estimate.hi_rps)
    candidate = state.candidates[index]
    found, upper = candidate.estimate, len(candidate.runs) % 2 == 1
    away = min(max(state.goal.within, DRIFT), 0.1)
    purpose: Purpose = "upper edge" if upper else "lower edge"
    sampling = [e.log_error for e in candidate.runs]
    longer = min(max((sum(sampling) / len(sampling) / DRIFT) ** 2, 1.0), 4.0) if sampling else 1.0
    rate_rps = found.rate_rps * (1 + away if upper else 1 - away)
    why = f"{purpose} of {found.lo_rps:.4g} to {found.hi_rps:.4g}/s"
    return _step(state, index, purpose, rate_rps, state.goal.run_s * longer, why)


def _most_hopeful(state: State) -> Step | None:
    """No load is predicted to keep the SLO: measure where it is missed by least, once."""
    known = {i: predicted for i in state.alive if (predicted := state.candidates[i].predicted) is not None}
    if not known or any(state.candidates[i].runs for i in known):
        return None
    index = min(known, key=lambda i: known[i].least)
    why = f"no load is predicted to keep the SLO; here it is missed by least, {known[index].least:.3g} times the limit"
    return _step(state, index, "most hopeful", known[index].least_rps, state.goal.run_s, why)


def _step(state: State, index: int, purpose: Purpose, rate_rps: float, seconds: float, why: str) -> Step:
    """A run at a rate for so long; longer where those were too few requests to say anything, if they come soon enough,
    and no longer than the budget allows."""
    candidate = state.candidates[index]
    seconds = min(max(seconds, FEWEST_REQUESTS / rate_rps), LONGEST * state.goal.run_s)
    seconds = min(seconds, max(_left_s(state), SHORTEST_S))
    requests = max(1, math.ceil(rate_rps * seconds / (1 + WARMUP_SHARE)))
    turn = 1 if purpose == "calibrate" else 2 + len(candidate.runs)
    overrides = candidate.configuration.overrides(rate_rps, requests, turn)
    return Step(index, purpose, rate_rps, seconds, tuple(overrides), why)


def _left_s(state: State) -> float:
    """What is left of the budget for a run's load."""
    return state.goal.budget_s - state.elapsed_s - state.overhead_s


def _contenders(state: State) -> list[int]:
    """Candidates that may be the best: the leader, and those whose interval reaches above its estimate."""
    leader = state.leader
    if leader is None:
        return []
    least = state.candidates[leader].estimate.rate_rps
    return [i for i in state.alive if i == leader or state.candidates[i].estimate.hi_rps > least]


def _settled(state: State, index: int) -> bool:
    candidate = state.candidates[index]
    return candidate.estimate.half <= state.goal.within and len(candidate.runs) >= FEWEST_RUNS


def _spent(state: State, index: int) -> bool:
    return len(state.candidates[index].runs) >= MOST_RUNS


# ------------------------------------------------------------------ what follows from a run


def _with(state: State, index: int, candidate: Candidate) -> State:
    return replace(state, candidates=(*state.candidates[:index], candidate, *state.candidates[index + 1 :]))


def _failed(state: State, step: Step, error: HarnessError) -> State:
    return _with(state, step.candidate, replace(state.candidates[step.candidate], failed=error))


def _predicted(state: State, index: int) -> State:
    """The capacity of every candidate of a group by the twin, from what its calibration measured.

    Service times are those of the rate that is found, interpolated between the two runs.
    """
    evidence, limits = state.candidates[index].evidence, state.goal.limits
    learnt, lost = [e.calibration for e in evidence], lost_share(evidence)
    size = smaller(state.goal.size, 5)
    for i in state.group(index):
        plan = state.candidates[i].configuration.plan
        first = crossing(curve(plan, pooled(learnt), limits, size, lost=lost))
        near_rps = first.rate_rps or first.least_rps
        second = crossing(curve(plan, pooled(learnt, near_rps), limits, size, lost=lost), first.rate_rps or None)
        state = _with(state, i, replace(state.candidates[i], predicted=second))
    return state
