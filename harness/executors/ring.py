"""The rows of a run that lie in memory: a ring, into which producer and workers stamp in place.

Row n lies at place n & mask; its place belongs to row n + size once row n has been taken out (see recorder). Behind the
rows stand a few words that whoever stamps and whoever takes out tell each other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.records import Ints, Layout

ISSUED, LIMIT, WAITS, WAITED_NS, SLEEPS_UNTIL = range(5)
"""The words: the row after the last one that was offered; the first row that may not be issued yet, since its place is
not free; how often, and for how long, the producer had to wait for that; when the row is due that the producer last
slept for."""
WORDS = 8


class Ring:
    """size rows, a power of two, of a layout, in `memory`: int64, zeroed, `values_of` long."""

    def __init__(self, layout: Layout, size: int, memory: Ints) -> None:
        assert size & (size - 1) == 0, "a power of two"
        self.size = size
        self.mask = size - 1
        self.rows = memory[: size * layout.width].reshape(size, layout.width)
        self.words = memory[size * layout.width :]

    @staticmethod
    def values_of(layout: Layout, size: int) -> int:
        """How many int64 it takes."""
        return size * layout.width + WORDS

    def __getitem__(self, row: int) -> Ints:
        """One row, shape (width,), in place."""
        values: Ints = self.rows[row & self.mask]
        return values

    @property
    def waits(self) -> tuple[int, int]:
        """How often the producer had to wait for room so far, and for how many ns in all."""
        return int(self.words[WAITS]), int(self.words[WAITED_NS])

    def pieces(self, first: int, last: int) -> Iterator[Ints]:
        """The rows [first, last), at most `size` of them, in place: in one piece, or in two where they wrap."""
        while first < last:
            place = first & self.mask
            count = min(last - first, self.size - place)
            yield self.rows[place : place + count]
            first += count

    def between(self, first: int, last: int) -> Ints:
        """The rows [first, last) as one matrix: in place where they lie in one piece, else a copy."""
        found = list(self.pieces(first, last))
        return found[0] if len(found) == 1 else np.concatenate([self.rows[:0], *found])

    def recent(self, issued: int) -> tuple[int, Ints]:
        """The rows before `issued` whose places may still be theirs, and the number of the first. In the place of one
        that was taken out nothing was offered."""
        first = max(0, issued - self.size)
        return first, self.between(first, issued)

    def column(self, first: int, last: int, column: int) -> Ints:
        """One column of the rows [first, last), shape (last - first,); in place or a copy."""
        found = [piece[:, column] for piece in self.pieces(first, last)]
        return found[0] if len(found) == 1 else np.concatenate([self.rows[:0, column], *found])
