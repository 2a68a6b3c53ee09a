"""Limits on the e2e latency, judged over every request that was issued: one that was lost is infinitely late.

Lost are those that were dropped, that failed, and that had not ended when the run did (aborted). To leave them out
would call a limit met because the requests that missed it by most were thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.numbers import percent
from harness.records import Outcome, RunRecords
from harness.summary import SloResult

WORDS = {Outcome.DROPPED: "dropped", Outcome.FAILED: "failed", Outcome.ABORTED: "had not ended when the run did"}


def latencies(records: RunRecords) -> NDArray[np.float64]:
    """e2e latency of every request in ns, shape (n,): infinite for one that was dropped, failed or never ended."""
    completed = records.outcome == Outcome.COMPLETED
    return np.where(completed, (records.completed - records.due).astype(np.float64), np.inf)


def judge(
    limits_ns: Mapping[str, int],
    figures: Mapping[str, float | None],
    outcomes: Mapping[int, int],
    issued: int,
    *,
    steady: bool,
) -> list[SloResult]:
    """Each limit, what was measured, and whether it is met; without a steady state none is.

    limits_ns: by the statistic that they limit, a key of `quantiles.summarise`. figures: that summary of all measured
    requests that were issued, the lost ones among them as infinite. outcomes: how many ended in each way. measured_ms
    is None where there is no figure: `why` then says so, with `infinite` for a statistic that falls among the lost
    requests. `why` also tells of lost requests where the figure is a finite one.
    """
    why = lost(outcomes, issued) if issued else "no request was issued"
    rows = []
    for name, limit_ns in limits_ns.items():
        value = figures[name]
        infinite = steady and value is not None and not np.isfinite(value)
        shown = value if steady and not infinite else None
        rows.append(
            SloResult(
                limit=name,
                limit_ms=limit_ns / 1e6,
                measured_ms=shown,
                infinite=infinite,
                met=shown is not None and shown <= limit_ns / 1e6,
                why=why if steady else "no steady state",
            )
        )
    return rows


def lost(outcomes: Mapping[int, int], issued: int) -> str | None:
    """What share of the requests was lost, and how, as a part of a sentence; None when none was."""
    counts = {word: outcomes.get(outcome, 0) for outcome, word in WORDS.items()}
    parts = {word: count for word, count in counts.items() if count}
    if not parts:
        return None
    total = sum(parts.values()) / issued
    each = ", ".join(f"{lost_percent(count / issued)} {word}" for word, count in parts.items())
    how = f" ({each})" if len(parts) > 1 else f" ({next(iter(parts))})"
    return f"{lost_percent(total)} of the requests were lost{how} and count as infinitely late"


def lost_percent(share: float) -> str:
    """A share of requests that were lost, in percent."""
    return "less than 0.1 %" if 0 < share < 0.001 else percent(share)
