"""The progress of a search for the capacity: what the last run showed, which run comes next, and why."""

from __future__ import annotations

import math

from rich.console import Console
from rich.text import Text

from harness.numbers import ms, rate
from harness.report.figures import first_line
from harness.studies.capacity import State, Step

MOST_PREDICTED = 4


def progress(console: Console, state: State, step: Step | None) -> None:
    """Print both."""
    for line in (*_learnt(state), *_coming(state, step)):
        console.print(Text(line), soft_wrap=True)


def _learnt(state: State) -> list[str]:
    if state.last is None:
        return []
    candidate = state.candidates[state.last]
    if candidate.failed is not None:
        return [f"   failed: {first_line(str(candidate.failed))}"]
    if not candidate.evidence or state.signal:
        return []
    last = candidate.evidence[-1]
    limits = state.goal.limits
    said = f"   {last.verdict}"
    if math.isinf(last.long_run) or last.saturated:
        said += ": no steady state"
    elif len(limits) == 1:
        said += f": {limits[0].name} {ms(last.long_run * limits[0].limit_ns / 1e6)} ms"
    if last.purpose == "calibrate":
        return [said, *_predicted(state)]
    found = candidate.estimate
    bracket = f"capacity {rate(found.rate_rps)} (± {found.half:.1%})" if found.rate_rps else "no load keeps the SLO"
    return [f"{said}; {bracket}"]


def _predicted(state: State) -> list[str]:
    predicted = sorted((c for c in state.candidates if c.predicted), key=lambda c: -c.estimate.rate_rps)
    if not predicted:
        return []
    shown = "; ".join(f"{c.variant.label} {rate(c.estimate.rate_rps)}" for c in predicted[:MOST_PREDICTED])
    more = f"; and {len(predicted) - MOST_PREDICTED} lower ones" if len(predicted) > MOST_PREDICTED else ""
    return [f"   predicted: {shown}{more}"]


def _coming(state: State, step: Step | None) -> list[str]:
    if step is None:
        return []
    at = "" if step.rate_rps is None else f" at {rate(step.rate_rps)}"
    return [f"-> {state.candidates[step.candidate].variant.label}{at}, {step.seconds:.0f} s: {step.why}"]
