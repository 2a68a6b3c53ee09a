"""The ring of rows that lie in memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.executors.ring import Ring
from harness.records import OUTCOME, Layout

LAYOUT = Layout.tandem(["one"])


@given(st.integers(0, 4), st.integers(0, 100), st.data())
def test_a_row_is_at_its_place_whatever_has_been_there_before(power: int, first: int, data: st.DataObject) -> None:
    size = 1 << power
    ring = Ring(LAYOUT, size, np.zeros(Ring.values_of(LAYOUT, size), np.int64))
    for row in range(first + size):
        ring[row][:] = row
    begin = data.draw(st.integers(first, first + size))
    end = data.draw(st.integers(begin, first + size))
    expected = list(range(begin, end))
    assert ring.between(begin, end)[:, 0].tolist() == expected
    assert ring.column(begin, end, OUTCOME).tolist() == expected
    assert sum(len(piece) for piece in ring.pieces(begin, end)) == len(expected)
    recent, rows = ring.recent(first + size)
    assert rows[:, 0].tolist() == list(range(recent, first + size))
    assert ring.words.tolist() == [0] * len(ring.words)
