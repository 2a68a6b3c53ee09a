"""Little's law, held against a count that knows nothing of the stamps.

While the load lasts the supervisor counts, some fifty times a second, how many requests have been issued and have not
ended, from a counter and from the outcomes. At the same moments the stamps say how many had been accepted and had not
ended yet, which is lambda times W by construction (Little, Operations Research 9, 1961). The two agree only if requests
really were in flight for as long as the stamps say. Both are taken at the same moments, so that the luck of where these
lie, and a backlog that grows, are in both.
"""

from __future__ import annotations

import numpy as np

from harness.records import Ints, Outcome, Phase, RunRecords
from harness.stats import timeline
from harness.summary import InFlight


def in_flight(at_ns: Ints, counts: Ints, records: RunRecords) -> InFlight | None:
    """Compare counts, shape (m,), at times of the stamps' clock with a run's records; None without both.

    records: of every request of the load, whatever became of it; those of saturation are left out.
    """
    if not len(at_ns):
        return None
    moments = np.sort(at_ns)
    change = np.zeros(len(at_ns) + 1, np.int64)  # in the number in flight, from one moment to the next
    count, first, last = 0, 0, 0
    for block in records.blocks():
        began = block.stage(0).accepted
        entered = (began > 0) & (block.column("phase") != Phase.SATURATION)  # one that was dropped ended as it came
        began = began[entered]
        if not len(began):
            continue
        ended = timeline.ended(block)[entered]
        ended[block.outcome[entered] == Outcome.ABORTED] = np.iinfo(np.int64).max
        for times, step in ((began, 1), (ended, -1)):
            change += step * np.bincount(np.searchsorted(moments, times, side="left"), minlength=len(change))
        first = min(first, int(began.min())) if count else int(began.min())
        last = max(last, int(began.max()))
        count += len(began)
    if not count:
        return None
    inside = np.cumsum(change)[:-1]
    span_s = float(max(at_ns[-1], last) - min(at_ns[0], first)) / 1e9
    return InFlight(len(at_ns), float(counts.mean()), float(inside.mean()), count / span_s if span_s else 0.0)
