"""Service times that follow one another are alike: a machine is slow for seconds, not for one request.

Drawn one by one, measured services would lose that, and with it much of the tail: slow services in a row fill a queue
that the same services one by one would not. So they are drawn in blocks of neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW = 5
"""Lags that the autocorrelation is summed over, and the length of a block, in autocorrelation times."""
LARGEST_SHARE = 0.25
"""Of the samples in one block."""


def block_length(series: NDArray[Any]) -> int:
    """How many neighbours of a series, shape (n,), to draw together; 1 when they tell nothing of one another.

    WINDOW times the integrated autocorrelation time of the ranks, summed up to the first lag beyond WINDOW times
    itself (Madras and Sokal, Journal of Statistical Physics 50, 1988, appendix C). Ranks, for one request that hung
    must not hide what the others have in common.
    """
    from scipy.fft import irfft, rfft
    from scipy.stats import rankdata

    n = len(series)
    if n < 2 * WINDOW or np.ptp(series) == 0:
        return 1
    ranks = rankdata(series) - (n + 1) / 2
    spectrum = np.abs(rfft(ranks, 2 * n)) ** 2
    autocorrelation = irfft(spectrum)[:n]
    autocorrelation /= autocorrelation[0]
    if autocorrelation[1] < 2 / np.sqrt(n):
        return 1
    time = 2 * np.cumsum(autocorrelation) - 1
    beyond = np.flatnonzero(np.arange(n) >= WINDOW * time)
    found = float(time[beyond[0]]) if len(beyond) else float(n)
    return max(1, min(round(WINDOW * found), int(LARGEST_SHARE * n)))


def starts(count: int, block: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where in a series each of the blocks begins that give `count` draws, as a share of its length in [0, 1)."""
    return rng.random(-(-count // block))


def positions(begins: NDArray[np.float64], length: int, block: int, count: int) -> NDArray[np.int64]:
    """Indices into a series of some length: blocks from those starts, shape (count,).

    A block that reaches the end goes on at the beginning, so that every sample is drawn equally often (circular block
    bootstrap: Politis and Romano, in Exploring the Limits of Bootstrap, 1992).
    """
    first = (begins * length).astype(np.int64)
    return np.asarray(((first[:, None] + np.arange(block)) % length).reshape(-1)[:count])
