"""Exact order statistics of whole numbers that come in blocks, in memory that does not grow with how many there are.

The values are gone over two times (seldom three). The first time they are counted in fine bins, of equal width within
each power of two. From the counts follows in which bin the value of a rank lies, and the second time the values of
these few bins are kept, or counted one by one where they are many (Munro and Paterson, Theoretical Computer Science 12,
1980: selection in few passes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.records import Ints

KEPT = 1 << 17
"""Up to so many values are kept as they are: then one pass is enough."""
FEW = 1 << 16
"""Up to so many values of a bin are kept in the second pass; else they are counted, in at most FEW bins again."""
FINE_BITS = 14
"""Bins within each power of two: 2 ** FINE_BITS. Smaller numbers have a bin of their own."""

_SHIFT = 52 - FINE_BITS  # a float64 has 52 bits behind its leading one
_FIRST = 1023 << FINE_BITS  # the bin that 1 would have by the bits of a float64
_SIDE = (63 << FINE_BITS) + 1  # bins of 0 and of the positive numbers; as many are below them
_EXACT = 1 << 53  # a float64 holds whole numbers up to here
_SAFE = 1 << 46  # a block of values up to here cannot overflow an int64 when they are added up


@dataclass
class _Range:
    """The values from low to high, both included, which hold the wanted ranks: `before` values lie below it."""

    low: int
    high: int
    before: int
    count: int
    ranks: list[int]
    kept: list[Ints] = field(default_factory=list)
    counts: Ints | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        if self.count > FEW:
            self.shift = max(0, (self.high - self.low).bit_length() - FEW.bit_length() + 1)
            self.counts = np.zeros(((self.high - self.low) >> self.shift) + 1, np.int64)

    def add(self, values: Ints) -> None:
        inside = values[(values >= self.low) & (values <= self.high)]
        if self.counts is None:
            self.kept.append(inside)
        else:
            np.add.at(self.counts, (inside - self.low) >> self.shift, 1)

    def found(self) -> dict[int, int]:
        """The value of each wanted rank, where it is known."""
        if self.counts is None:
            ordered = np.sort(np.concatenate(self.kept))
            return {rank: int(ordered[rank - self.before - 1]) for rank in self.ranks}
        return {} if self.shift else {rank: self.low + at for rank, at, _ in self._bins()}

    def narrower(self) -> Iterator[_Range]:
        """What to look through next for the ranks whose value is not known."""
        if self.counts is not None and self.shift:
            for rank, at, before in self._bins():
                low = self.low + (at << self.shift)
                yield _Range(low, low + (1 << self.shift) - 1, before, int(self.counts[at]), [rank])

    def _bins(self) -> Iterator[tuple[int, int, int]]:
        assert self.counts is not None
        ends = np.cumsum(self.counts) + self.before
        for rank in self.ranks:
            at = int(np.searchsorted(ends, rank))
            yield rank, at, int(ends[at] - self.counts[at])


class OrderStatistics:
    """Count, sum, least, largest and any order statistics of int64 values.

    `add` all values, in any number of arrays. Then `seek` ranks, and as long as it is not `settled` go `over` all the
    values again, in any order, and say `next_pass` behind them. `at` has the answers. `find` does it all.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.least: int | None = None
        self.largest: int | None = None
        self._kept: list[Ints] | None = []
        self._counts: Ints | None = None
        self._ordered: Ints | None = None
        self._known: dict[int, int] = {}
        self._open: list[_Range] = []

    def add(self, values: Ints) -> None:
        """Take in values, shape (n,)."""
        if not len(values):
            return
        least, largest = int(values.min()), int(values.max())
        self.count += len(values)
        self.total += int(values.sum()) if least > -_SAFE and largest < _SAFE else sum(values.tolist())
        self.least = least if self.least is None else min(self.least, least)
        self.largest = largest if self.largest is None else max(self.largest, largest)
        if self._kept is not None:
            self._kept.append(np.array(values))
            if self.count > KEPT:
                self._counts = np.zeros(2 * _SIDE, np.int64)
                for kept in self._kept:
                    np.add.at(self._counts, _bins(kept), 1)
                self._kept = None
        else:
            assert self._counts is not None
            np.add.at(self._counts, _bins(values), 1)

    @property
    def mean(self) -> float | None:
        """Of all values; None of none. The sum is exact."""
        return self.total / self.count if self.count else None

    def seek(self, ranks: Iterable[int]) -> None:
        """Which order statistics are wanted: ranks from 1 to `count`."""
        wanted = sorted(set(ranks) - set(self._known))
        if not wanted:
            return
        if not 1 <= wanted[0] <= wanted[-1] <= self.count:
            raise ValueError(f"ranks lie between 1 and {self.count}, not at {wanted[0]} to {wanted[-1]}")
        if self._kept is not None:
            if self._ordered is None:
                self._ordered = np.sort(np.concatenate(self._kept))
            self._known |= {rank: int(self._ordered[rank - 1]) for rank in wanted}
            return
        assert self._counts is not None
        ends = np.cumsum(self._counts)
        at = np.searchsorted(ends, wanted)
        for one in np.unique(at).tolist():
            low, high = _edges(one)
            count, ranks = int(self._counts[one]), [r for r, b in zip(wanted, at, strict=True) if b == one]
            self._narrow(_Range(low, high, int(ends[one]) - count, count, ranks))

    @property
    def settled(self) -> bool:
        """Whether all that was sought is found."""
        return not self._open

    def over(self, values: Ints) -> None:
        """Some of the same values again."""
        for one in self._open:
            one.add(values)

    def next_pass(self) -> None:
        """All values have been gone over again."""
        looked, self._open = self._open, []
        for one in looked:
            self._known |= one.found()
            for narrower in one.narrower():
                self._narrow(narrower)

    def at(self, rank: int) -> int:
        """The order statistic of a rank that was sought and found."""
        return self._known[rank]

    def find(self, ranks: Iterable[int], again: Callable[[], Iterable[Ints]]) -> dict[int, int]:
        """The order statistics of these ranks. again: goes over all the values once more."""
        ranks = list(ranks)
        self.seek(ranks)
        while not self.settled:
            for values in again():
                self.over(values)
            self.next_pass()
        return {rank: self.at(rank) for rank in ranks}

    def _narrow(self, found: _Range) -> None:
        if found.low == found.high:
            self._known |= dict.fromkeys(found.ranks, found.low)
        else:
            self._open.append(found)


def over_again(every: Iterable[OrderStatistics]) -> bool:
    """End a pass over the values of all of these; whether any of them needs another one."""
    unsettled = [one for one in every if not one.settled]
    for one in unsettled:
        one.next_pass()
    return not all(one.settled for one in unsettled)


def _bins(values: Ints) -> NDArray[np.int64]:
    """The bin of each value: sign, power of two and the FINE_BITS behind it, which a float64 has side by side."""
    negative = values < 0
    some = bool(negative.any())
    size = np.where(negative, ~values, values) if some else values
    if size.max(initial=0) >= _EXACT:
        size = np.where(size >= _EXACT, size & ~np.int64(0x7FF), size)  # or it would be rounded up, into the next bin
    at = size.astype(np.float64).view(np.int64)
    at >>= _SHIFT
    at -= _FIRST - 1
    np.maximum(at, 0, out=at)  # 0 has no leading one
    return _SIDE + (np.where(negative, ~at, at) if some else at)


def _edges(at: int) -> tuple[int, int]:
    """The least and the largest whole number of a bin."""
    if at < _SIDE:
        low, high = _edges(2 * _SIDE - 1 - at)
        return ~high, ~low
    if at == _SIDE:
        return 0, 0
    return _least(at - _SIDE), _least(at - _SIDE + 1) - 1


def _least(at: int) -> int:
    """The least whole number of a bin of positive ones: (1 + fraction) times its power of two, rounded up."""
    power, fraction = divmod(at - 1, 1 << FINE_BITS)
    return -(-((1 << FINE_BITS) + fraction << power) >> FINE_BITS)
