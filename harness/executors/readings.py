"""Readings of the number of requests in flight, taken all through a load of any length: for Little's law."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

MOST_READINGS = 1 << 16
"""Twenty minutes of them at fifty a second, and then half as many a second."""


class Readings:
    """Counts of requests in flight, each with its time: at most MOST_READINGS, and then every second one of them."""

    def __init__(self) -> None:
        self._at, self._counts = array("q"), array("q")
        self._every, self._given = 1, 0

    def add(self, at_ns: int, count: int) -> None:
        """Keep a reading, or not: those that are kept are equally far apart."""
        if self._given % self._every == 0:
            self._at.append(at_ns)
            self._counts.append(count)
        self._given += 1
        if len(self._at) >= MOST_READINGS:
            self._at, self._counts = self._at[::2], self._counts[::2]
            self._every *= 2

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times in ns and counts, shape (m,) each."""
        return np.array(self._at, np.int64), np.array(self._counts, np.int64)
