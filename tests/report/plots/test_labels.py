"""Names of lines in a plot."""

from __future__ import annotations

from harness.report.plots import labels


def test_names_of_lines_are_moved_apart_where_they_would_meet():
    line_height = labels.SIZE * labels.LINE
    assert labels.spread([0.0, 1.0, 50.0], [10.0, 12.0, 11.0]) == [0.0, line_height, 50.0]
    assert labels.spread([0.0, 1.0], [10.0, 400.0]) == [0.0, 1.0]
    assert labels.spread([2.0, 0.0, 1.0], [0.0, 0.0, 0.0]) == [2 * line_height, 0.0, line_height]
