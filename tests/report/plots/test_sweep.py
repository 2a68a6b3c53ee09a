"""The plots of a sweep."""

from __future__ import annotations

from harness.report.plots import sweep as plots
from harness.studies.sweep import axes as words
from harness.studies.sweep.result import result
from tests import sweeps


def test_plots_are_drawn_for_one_axis_two_axes_and_values_that_are_no_numbers(line, tmp_path):
    assert set(plots.draw(line[1])) == {"front", "over-batch.max", "over-rate"}
    for name, grid in (
        ("one", ["stages.second.workers=1,2"]),
        ("words", ["stages.second.distribution=exponential,constant"]),
        ("times", ["stages.second.batch.timeout=0,1 ms,5 ms", "stages.second.workers=2"]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        there = sweeps.pretend(sweeps.begin(folder, *grid, overrides=("load.requests=1000",)))
        written = plots.save(result(there), folder)
        assert [path.suffix for path in written] == [".svg", ".png"]
        assert all(path.stat().st_size > 5000 for path in written)
    text = (tmp_path / "words" / "over-distribution.svg").read_text()
    assert "exponential" in text and "e2e latency p99, ms" in text


def test_nothing_is_drawn_of_nothing(tmp_path):
    assert plots.draw(result(sweeps.begin(tmp_path, "stages.second.workers=1,2"))) == {}


def test_axes_have_short_names_as_far_as_they_differ():
    keys = ["stages.a.batch.max", "load.rate", "stages.a.workers", "stages.b.workers", "name"]
    assert list(words.short_names(keys).values()) == ["batch.max", "rate", "a.workers", "b.workers", "name"]
    assert words.numbers(["5 ms", "1 s", "0"]) is not None
    assert words.numbers(["5 ms", "1 s"]) == [5.0, 1000.0]
    assert words.numbers(["20/s", "120/min"]) == [20.0, 2.0]
    assert words.numbers([1, 2.5]) == [1.0, 2.5]
    assert words.numbers(["numba", "native"]) is None
