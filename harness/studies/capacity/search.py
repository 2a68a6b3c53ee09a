"""Which run to measure next, and what is known after it. The loop takes the measuring as an argument."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.errors import HarnessError
from harness.numbers import significant
from harness.plan import Plan
from harness.studies.capacity.curve import crossing, curve, smaller
from harness.studies.capacity.document import Purpose, Status
from harness.studies.capacity.evidence import DRIFT, Evidence, lost_share, weigh
from harness.studies.capacity.runs import first_load_overrides, load_overrides, open_load, plan_of
from harness.studies.capacity.state import Candidate, Goal, Measure, RunResult, State, Step
from harness.studies.variants import Variant
from harness.twin.pooling import pooled

LIGHT, LOADED = 0.5, 0.9
"""Shares of the saturated rate at which service times are learnt: they may grow with the load."""
FEWEST_RUNS, MOST_RUNS = 2, 12
FEWEST_REQUESTS = 300
LONGEST = 6
"""Longest run, in lengths of the first ones."""
SHORTEST_S = 4.0
WARMUP_SHARE = 0.1


def search(
    variants: Sequence[Variant],
    goal: Goal,
    measure: Measure,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[State, Step | None]]:
    """Yield what is known, with the run that is measured next; with the last, None.

    A variant whose run fails is out; the others go on. Ends when the interval is narrow enough, at the time limit, or
    when a run was interrupted. Raises what `measure` raises.
    """
    begun = clock()
    state = State(goal, tuple(map(Candidate.of, variants)))
    while (step := next_step(state)) is not None:
        yield state, step
        variant = state.candidates[step.candidate].variant
        plan = plan_of(variant, step.overrides)
        measured = measure(plan, (*variant.own, *step.overrides))
        before = state
        state = absorb(before, step, plan, measured)
        elapsed_s = clock() - begun
        overhead_s = elapsed_s - before.elapsed_s - (state.measured_s - before.measured_s)
        state = replace(state, elapsed_s=elapsed_s, overhead_s=max(overhead_s, 0.0))
    yield replace(state, status=ended(state)), None


def next_step(state: State) -> Step | None:
    """The run to measure next; None when the search is over."""
    if state.status == "interrupted":
        return None
    return (_teacher(state) or _finalist(state)) if state.left_s >= SHORTEST_S else None


def absorb(state: State, step: Step, plan: Plan, measured: RunResult) -> State:
    """What is known with one more run."""
    state = replace(state, last=step.candidate)
    candidate = state.candidates[step.candidate]
    if measured.signal:
        return replace(state, status="interrupted", signal=measured.signal)
    if measured.error is not None:
        return _failed(state, step, measured.error)
    assert measured.summary is not None  # a run without one has an error
    try:
        found = weigh(
            plan,
            measured.records,
            measured.summary,
            state.goal.limits,
            state.goal.size,
            settings=candidate.variant.own,
            path=measured.path,
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
    step = _teacher(state) or _finalist(state)
    if step is not None:
        return "budget spent"
    return "answered" if all(_settled(state, i) for i in _contenders(state)) else "runs spent"


# ------------------------------------------------------------------ which run


def _teacher(state: State) -> Step | None:
    """The next run to learn service times from: two in each group; the first also measures the saturated rate."""
    for index in state.alive:
        if state.candidates[index].predicted is not None:
            continue
        first = next(i for i in state.group(index) if state.candidates[i].failed is None)
        plan, known = state.candidates[first].variant.plan, state.candidates[first].evidence
        seconds = state.goal.run_s / 2
        if known:
            rate_rps = LOADED * _saturated_rps(known[0])
            why = f"service times at {LOADED:.0%} of its saturated rate"
            return _step(state, first, "calibrate", rate_rps, seconds, why)
        overrides = tuple(first_load_overrides(LIGHT, seconds))
        seconds += open_load(plan).calibration / 1e9
        why = f"its saturated rate, and service times at {LIGHT:.0%} of it"
        return Step(first, "calibrate", None, seconds, overrides, why)
    return None


def _saturated_rps(evidence: Evidence) -> float:
    """The saturated rate as measured, else by the twin."""
    return evidence.summary.load.calibrated_capacity_rps or evidence.saturated_rps


def _finalist(state: State) -> Step | None:
    """The next run at an edge of an interval: of the contender whose interval reaches highest."""
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
    why = f"{purpose} of {significant(found.lo_rps, 4)} to {significant(found.hi_rps, 4)}/s"
    return _step(state, index, purpose, rate_rps, state.goal.run_s * longer, why)


def _most_hopeful(state: State) -> Step | None:
    """Where no load is predicted to keep the SLO: one run where it is missed by least."""
    known = {i: predicted for i in state.alive if (predicted := state.candidates[i].predicted) is not None}
    if not known or any(state.candidates[i].runs for i in known):
        return None
    index = min(known, key=lambda i: known[i].least)
    missed = f"{significant(known[index].least)} times the limit"
    why = f"no load is predicted to keep the SLO; here it is missed by least, {missed}"
    return _step(state, index, "most hopeful", known[index].least_rps, state.goal.run_s, why)


def _step(state: State, index: int, purpose: Purpose, rate_rps: float, seconds: float, why: str) -> Step:
    """A run at a rate for so long; longer where that would be too few requests, within the time limit."""
    candidate = state.candidates[index]
    seconds = min(max(seconds, FEWEST_REQUESTS / rate_rps), LONGEST * state.goal.run_s)
    seconds = min(seconds, max(state.left_s, SHORTEST_S))
    requests = max(1, math.ceil(rate_rps * seconds / (1 + WARMUP_SHARE)))
    turn = 1 if purpose == "calibrate" else 2 + len(candidate.runs)
    overrides = load_overrides(candidate.variant.plan, rate_rps, requests, turn)
    return Step(index, purpose, rate_rps, seconds, tuple(overrides), why)


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
    """Predict the highest rate of every candidate of a group, from the service times that one of them measured.

    Service times are interpolated between its two runs, to the rate that is found.
    """
    evidence, limits = state.candidates[index].evidence, state.goal.limits
    learnt, lost = [e.profile for e in evidence], lost_share(evidence)
    size = smaller(state.goal.size, 5)
    for i in state.group(index):
        plan = state.candidates[i].variant.plan
        first = crossing(curve(plan, pooled(learnt), limits, size, lost=lost))
        near_rps = first.rate_rps or first.least_rps
        second = crossing(curve(plan, pooled(learnt, near_rps), limits, size, lost=lost), first.rate_rps or None)
        state = _with(state, i, replace(state.candidates[i], predicted=second))
    return state
