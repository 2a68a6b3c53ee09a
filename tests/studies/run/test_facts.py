"""What a run says besides its records."""

from __future__ import annotations

from harness.studies.run.facts import effective_from


def test_a_stage_may_tell_anything_of_itself_and_no_summary_is_lost() -> None:
    found = effective_from({"threads": "as many as there are", "device": "cpu", "backend": {"mine": [1]}})
    assert found.threads is None
    assert found.as_json()["device"] == "cpu"
    assert found.as_json()["backend"] == {"mine": [1]}


def test_what_fits_is_kept_whole() -> None:
    told = {"threads": 2, "cpus": "0-1", "numa_nodes": [0], "own": 1}
    assert {key: value for key, value in effective_from(told).as_json().items() if key in told} == told
