"""Where the columns of records come from: a matrix in memory, single columns in memory, or a selection of either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.records.layout import Layout

Ints = NDArray[np.int64]
Chosen = NDArray[np.bool_] | slice
"""Rows: a mask of shape (n,), or a slice with a step of at least 1."""

BLOCK_ROWS = 1 << 16
"""Rows of a block, and of a row group of a file."""


class Source(Protocol):
    """n rows with their columns, and the reasons of the requests that failed, by row."""

    @property
    def failures(self) -> Mapping[int, str]:
        """Why a request failed, by row."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""

    def matrix(self) -> Ints:
        """All columns, shape (n, layout.width)."""

    def select(self, chosen: Chosen) -> Source:
        """Some of the rows, in order."""

    def blocks(self, columns: Sequence[str]) -> Iterator[Source]:
        """Consecutive pieces of at most BLOCK_ROWS rows, in memory, with these columns."""


@dataclass(frozen=True)
class Matrix:
    """Rows in memory, shape (n, layout.width)."""

    layout: Layout
    rows: Ints
    failures: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""
        return self.rows[:, self.layout.columns[name]]

    def matrix(self) -> Ints:
        """All columns, shape (n, layout.width)."""
        return self.rows

    def select(self, chosen: Chosen) -> Matrix:
        """Some of the rows, in order."""
        return Matrix(self.layout, self.rows[chosen], chosen_failures(self.failures, chosen, len(self)))

    def blocks(self, columns: Sequence[str]) -> Iterator[Matrix]:
        """Consecutive pieces in memory, with these columns at least."""
        for first in range(0, len(self), BLOCK_ROWS):
            yield self.select(slice(first, first + BLOCK_ROWS))


@dataclass(frozen=True)
class Loaded:
    """Some columns in memory, by name, shape (n,) each."""

    layout: Layout
    columns: Mapping[str, Ints]
    count: int
    failures: Mapping[int, str]

    def __len__(self) -> int:
        return self.count

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""
        return self.columns[name]

    def matrix(self) -> Ints:
        """All columns, shape (n, layout.width)."""
        rows = np.empty((self.count, self.layout.width), np.int64)
        for name, index in self.layout.columns.items():
            rows[:, index] = self.columns[name]
        return rows

    def select(self, chosen: Chosen) -> Loaded:
        """Some of the rows, in order."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        count = len(range(self.count)[chosen]) if isinstance(chosen, slice) else int(np.count_nonzero(chosen))
        return Loaded(self.layout, columns, count, chosen_failures(self.failures, chosen, self.count))

    def blocks(self, columns: Sequence[str]) -> Iterator[Loaded]:
        """Consecutive pieces in memory, with these columns at least."""
        for first in range(0, self.count, BLOCK_ROWS):
            yield self.select(slice(first, first + BLOCK_ROWS))


class Selection:
    """Some rows of a source that is not in memory: a column is read, block by block, when it is asked for."""

    def __init__(self, layout: Layout, whole: Source, chosen: Chosen) -> None:
        self.layout = layout
        self._whole = whole
        self._chosen = chosen
        if isinstance(chosen, slice):
            self._count = len(range(len(whole))[chosen])
        else:
            self._count = int(np.count_nonzero(chosen))

    @property
    def failures(self) -> Mapping[int, str]:
        """Why a request failed, by row."""
        return chosen_failures(self._whole.failures, self._chosen, len(self._whole))

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> Ints:
        """One column, shape (n,)."""
        return joined([block.column(name) for block in self.blocks([name])])

    def matrix(self) -> Ints:
        """All columns, shape (n, layout.width)."""
        pieces = [block.matrix() for block in self.blocks(tuple(self.layout.columns))]
        return np.concatenate(pieces) if pieces else np.empty((0, self.layout.width), np.int64)

    def select(self, chosen: Chosen) -> Selection:
        """Some of the rows, in order."""
        mask = np.zeros(len(self._whole), np.bool_)
        mask[self._chosen] = True
        picked = np.zeros(self._count, np.bool_)
        picked[chosen] = True
        mask[mask] = picked
        return Selection(self.layout, self._whole, mask)

    def blocks(self, columns: Sequence[str]) -> Iterator[Source]:
        """Consecutive pieces in memory, with these columns at least."""
        first = 0
        for block in self._whole.blocks(columns):
            last = first + len(block)
            mask = self._mask(first, last)
            if mask.all():
                yield block
            elif mask.any():
                yield block.select(mask)
            first = last

    def _mask(self, first: int, last: int) -> NDArray[np.bool_]:
        if not isinstance(self._chosen, slice):
            return self._chosen[first:last]
        start, stop, step = self._chosen.indices(len(self._whole))
        rows = np.arange(first, last)
        mask: NDArray[np.bool_] = (rows >= start) & (rows < stop) & ((rows - start) % step == 0)
        return mask


def joined(pieces: Sequence[Ints]) -> Ints:
    """One column of its pieces."""
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def chosen_failures(failures: Mapping[int, str], chosen: Chosen, count: int) -> Mapping[int, str]:
    """The reasons of the chosen ones of `count` rows, by their new row."""
    if not failures:
        return {}
    rows = np.arange(count)[chosen]
    of = np.fromiter(failures, np.int64, len(failures))
    place = np.searchsorted(rows, of)
    inside = np.flatnonzero(place < len(rows))
    inside = inside[rows[place[inside]] == of[inside]]
    return {int(place[i]): failures[int(of[i])] for i in inside}
