"""Random pipelines and demands, small times so that many things happen at the same instant."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from harness.twin import Demand, Pipeline, Station

TIMES = st.sampled_from([(1, 2), (1, 6), (1, 40), (20, 20), (1, 1000)])


@st.composite
def stations(draw: st.DrawFn, name: str, single_worker: bool) -> Station:
    capacity = draw(st.integers(1, 6))
    return Station(
        name=name,
        workers=1 if single_worker else draw(st.integers(1, 4)),
        capacity=capacity,
        batch_max=draw(st.one_of(st.just(1), st.integers(1, capacity))),
        batch_timeout_ns=draw(st.sampled_from([0, 1, 5, 30])),
        hop_ns=draw(st.sampled_from([0, 0, 0, 1, 3, 17])),
        turnaround_ns=draw(st.sampled_from([0, 0, 0, 1, 2, 11])),
    )


@st.composite
def cases(draw: st.DrawFn, recursive: bool = False) -> tuple[Pipeline, Demand]:
    """recursive: only what the recursion can do."""
    stages = draw(st.integers(1, 4))
    load = draw(st.sampled_from(["block", "shed"] if recursive else ["block", "shed", "closed"]))
    pipeline = Pipeline(tuple(draw(stations(f"s{i}", recursive)) for i in range(stages)), shed=load == "shed")
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 60))
    sizes = [draw(st.sampled_from([1, s.batch_max])) for s in pipeline.stations]
    service = tuple(rng.integers(*_ends(draw(TIMES)), (n, size)) for size in sizes)
    if load == "closed":
        stop = draw(st.sampled_from([0, 0, 10**9 + 50]))
        return pipeline, Demand(service, None, draw(st.integers(1, 12)), stop, shares=draw(st.booleans()))
    gaps = rng.integers(0, draw(st.sampled_from([1, 2, 10, 60, 600])), n)
    return pipeline, Demand(service, 1 + np.cumsum(gaps), shares=draw(st.booleans()))


def _ends(times: tuple[int, int]) -> tuple[int, int]:
    return times[0], times[1] + 1
