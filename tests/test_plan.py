"""What is known of a run before it starts: how many rows it may take, and that something is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ScenarioError
from tests.pipelines import plan

NULL = {"null": {}}
MINUTE = {"arrivals": "closed", "duration": "60 s", "concurrency": 16}


def test_a_closed_load_has_rows_for_its_duration_at_any_rate_or_200_million() -> None:
    assert plan(NULL, load=MINUTE).max_rows > 60 * 1_000_000
    assert plan(NULL, load={**MINUTE, "duration": "3 h", "warmup": 7}).max_rows == 200_000_007


def test_little_memory_makes_the_ring_smaller_and_the_run_no_shorter() -> None:
    wanted = plan(NULL, load={**MINUTE, "warmup": 7})
    fitted = wanted.fitted(10**6)
    assert fitted.least_bytes <= 10**6 < 2 * fitted.least_bytes
    assert fitted.ring_rows >= 4 * fitted.in_flight
    assert (fitted.max_rows, fitted.block(0)) == (wanted.max_rows, wanted.block(0))


@pytest.mark.parametrize("rows", [1, 100, 131_072, 131_073, 10**7])
def test_a_short_run_lies_in_memory_and_of_a_long_one_as_much_as_of_any(rows: int) -> None:
    ring = plan(NULL, load={"arrivals": "closed", "requests": rows, "warmup": 0}).ring_rows
    assert rows <= ring < 2 * rows if rows <= 131_072 else ring == 131_072


def test_all_rows_of_a_calibration_and_many_times_those_in_flight_lie_in_memory() -> None:
    deep = {"null": {"capacity": 16_384}}
    load = {"arrivals": "poisson", "utilisation": 0.5, "requests": 10**8}
    found = plan(deep, deep, deep, load=load)
    assert found.ring_rows >= max(found.first_row, 4 * 3 * 16_384)
    assert found.ring_rows & (found.ring_rows - 1) == 0


def test_records_that_will_not_fit_on_the_disk_are_refused_with_both_figures() -> None:
    found = plan(NULL, load={"arrivals": "closed", "requests": 10**8})
    needed = found.disk_bytes
    found.check_disk(found.max_rows, needed, "here")
    with pytest.raises(
        ScenarioError, match=r"100,000,000 requests take some 3\.6 GiB, and 3\.6 GiB are free in here"
    ) as no:
        found.check_disk(found.max_rows, needed - 1, "here")
    assert "load.requests" in no.value.where
    assert no.value.hint


@pytest.mark.parametrize("load", [MINUTE, {"arrivals": "closed", "requests": 10}])
def test_what_certainly_does_not_fit_into_memory_is_refused(load: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ScenarioError, match="60 % of the memory that is left"):
        plan(NULL, load={**load, "warmup": 10**9}).fitted(4 * 10**9)


def test_a_calibration_has_requests_beyond_those_that_fill_the_queues() -> None:
    load = {"arrivals": "poisson", "utilisation": 0.5, "requests": 10}
    deep = {"null": {"capacity": 16_384}}
    assert plan(NULL, NULL, load=load).first_row == 20_000
    assert plan(deep, deep, load=load).first_row == 2 * 16_384 + 10_000


def trace(folder: Path, times: list[float]) -> str:
    (folder / "due.txt").write_text("\n".join(map(str, times)))
    return str(folder / "due.txt")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"warmup": 20}, "not enough for 20 warm-up requests and 1 measured ones"),
        ({"warmup": 20, "duration": "1 s"}, "not enough for 20 warm-up requests and 1 measured ones"),
        ({"warmup": 11, "duration": "1 s"}, "not enough for 11 warm-up"),
        ({"warmup": 11, "duration": "1 s", "utilisation": 0.5}, "not enough for 11 warm-up"),
        (
            {"warmup": 10, "duration": "500 ms"},
            "within the 0.5 s behind the last one of the warm-up: nothing",
        ),
        ({"warmup": 10, "duration": "500 ms", "rate": "1/s"}, "nothing would be measured"),
        ({"warmup": 0, "requests": 12}, "not enough for 0 warm-up requests and 12 measured ones"),
    ],
)
def test_a_trace_that_leaves_nothing_to_measure_is_refused(keys: dict, says: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    """Ten times in the first second, and an eleventh after another one."""
    file = trace(tmp_path, [*np.arange(10) / 10, 2.0])
    with pytest.raises(ScenarioError, match=says) as refused:
        plan(NULL, load={"arrivals": "trace", "file": file, **keys})
    assert "load." in refused.value.where
    assert refused.value.hint


def test_a_trace_whose_duration_holds_one_measured_request_is_not_refused(tmp_path: Path) -> None:
    file = trace(tmp_path, [*np.arange(10) / 10, 2.0])
    resolved = plan(NULL, load={"arrivals": "trace", "file": file, "warmup": 10, "duration": "1200 ms"})
    assert resolved.due_times(11 / 2.0).tolist() == [*range(0, 10**9, 10**8), 2 * 10**9]


@pytest.mark.parametrize("arrivals", ["constant", "poisson", "gamma", "bursts"])
def test_a_duration_in_which_nothing_arrives_is_refused(arrivals: str) -> None:
    keys = {"cv": 0.1} if arrivals == "gamma" else {}
    with pytest.raises(ScenarioError, match=r"within the 1e-06 s behind the start: nothing would be measured"):
        plan(NULL, load={"arrivals": arrivals, "rate": "1/s", "duration": "1 us", **keys})


def test_a_duration_that_a_calibrated_rate_leaves_empty_is_refused_when_the_rate_is_known() -> None:
    resolved = plan(NULL, load={"arrivals": "constant", "utilisation": 0.5, "duration": "100 ms"})
    assert len(resolved.due_times(97.0)) == 9
    with pytest.raises(ScenarioError, match="nothing would be measured"):
        resolved.due_times(9.0)
