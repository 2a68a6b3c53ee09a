"""The table of a sweep fits, and says what became of every variant."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.report.screens import sweep as table
from harness.studies.sweep.document import SweepResult


def screen(found: SweepResult, width: int) -> list[str]:
    out = io.StringIO()
    table.show(Console(file=out, width=width, highlight=False), found)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_says_what_became_of_every_variant(line, width):
    lines = screen(line[1], width)
    assert max(map(len, lines[:-1])) <= width  # but for where it is saved
    head = next(text for text in lines if "95 % interval" in text)
    rows = lines[lines.index(head) + 1 :][:9]
    assert "batch.max" in head and "rate" in head and "SLO" in head
    assert ("busiest" in head) == (width == 120)
    assert "saturated" in rows[2] and "failed" in rows[7] and "not run" in rows[8]
    assert sum(text.startswith("*") for text in rows) == len(line[1].front) > 0
    text = " ".join(" ".join(lines).split())
    assert "7 of 9 runs completed" in text
    assert "batch.max 4, rate 80/s failed: no memory" in text
    assert "no other variant completes more at a lower p99" in text
    assert any(table.TOO_FEW in row for row in rows)
    assert "too few requests for an interval: such a p99 is more often too low than too high" in text
