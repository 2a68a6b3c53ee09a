"""No shape of pipeline deadlocks, down to one slot in front of a stage."""

from __future__ import annotations

from hypothesis import strategies as st

from harness.records import Outcome
from harness.stats.checks import ordered
from tests.pipelines import run
from tests.properties import holds

stage = st.fixed_dictionaries(
    {
        "workers": st.integers(1, 3),
        "capacity": st.integers(1, 4),
        "batch": st.one_of(
            st.just({"max": 1}),
            st.fixed_dictionaries({"max": st.integers(2, 5), "timeout": st.sampled_from(["0 ms", "1 ms", "3 ms"])}),
        ),
    }
)


load = st.one_of(
    st.fixed_dictionaries({"arrivals": st.just("closed"), "concurrency": st.integers(1, 12)}),
    st.fixed_dictionaries({"arrivals": st.just("poisson"), "rate": st.sampled_from(["500/s", "20000/s"])}),
)


def _no_deadlock(executor: str, stages: list[dict], load: dict) -> None:  # type: ignore[type-arg]
    records = run(
        *({"null": options} for options in stages),
        load={**load, "requests": 120},
        executor=executor,
        deadlines={"progress": "5 s"},
    ).records
    assert (records.outcome == Outcome.COMPLETED).all()
    assert len(records) == 120
    assert ordered(records).level == "ok"


@holds(12, 60, st.lists(stage, min_size=1, max_size=4), load)
def test_no_shape_of_pipeline_deadlocks_in_one_process(stages: list[dict], load: dict) -> None:  # type: ignore[type-arg]
    _no_deadlock("asyncio", stages, load)


@holds(2, 12, st.lists(stage, min_size=2, max_size=3), load)
def test_no_shape_of_pipeline_deadlocks_between_processes(stages: list[dict], load: dict) -> None:  # type: ignore[type-arg]
    _no_deadlock("process", stages, load)
