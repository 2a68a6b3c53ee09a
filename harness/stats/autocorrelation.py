"""How long a 0-1 series remembers: the sum of its autocorrelations, for series of any length.

Up to IN_ONE values it is one Fourier transform of the whole series. A longer one is transformed piece by piece, each
piece against itself and what comes before it, for as many lags as are needed: the same covariances, up to rounding,
in memory that grows with the lags and not with the series.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

IN_ONE = 1 << 22
"""Values that are transformed at once: some 300 MB."""
FIRST_LAGS, LONGEST_LAG = 1 << 12, 1 << 22
"""Lags that a longer series is tried with, first and last. Were it still correlated over LONGEST_LAG values, the sum
ends there; a shorter one is followed over a quarter of its length."""


def summed(above: Bools) -> tuple[float, int]:
    """1 + 2 * (sum of the autocorrelations) of a series, shape (n,), at least 1, and up to which lag it was summed.

    The sum ends by the initial monotone sequence rule: sums of two neighbouring lags, as long as they are positive, and
    never larger than the one before (Geyer, Statistical Science 7, 1992, section 3.3), at most a quarter of the
    series. 1 for values without variation.
    """
    n = len(above)
    if n < 8:
        return 1.0, 0
    most = n // 8 * 2
    if n <= IN_ONE:
        return _monotone(at_once(above, most))[:2]
    most, lags = min(LONGEST_LAG, most), FIRST_LAGS
    while True:
        lags = min(lags, most)
        inflation, end, ended = _monotone(in_pieces(above, lags))
        if ended or lags == most:
            return inflation, end
        lags *= 16


def _monotone(covariance: Floats) -> tuple[float, int, bool]:
    """The sum, its last lag, and whether it ended before the covariances did, which are those of the first lags."""
    if covariance[0] <= 0.0:
        return 1.0, 0, True
    pairs = covariance.reshape(-1, 2).sum(axis=1) / covariance[0]
    not_positive = np.flatnonzero(pairs <= 0.0)
    end = int(not_positive[0]) if not_positive.size else len(pairs)
    inflation = max(1.0, 2.0 * float(np.minimum.accumulate(pairs[:end]).sum()) - 1.0)
    return inflation, 2 * end, bool(not_positive.size)


def at_once(above: Bools, lags: int) -> Floats:
    """n times the autocovariance of a 0-1 series, shape (n,), at the first lags, shape (lags,)."""
    centred = above.astype(np.float64)
    centred -= centred.mean()
    size = 1 << (len(above) + lags - 1).bit_length()  # so long that no lag wraps around
    spectrum = np.fft.rfft(centred, size)
    covariance: Floats = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:lags]
    return covariance


def in_pieces(above: Bools, lags: int) -> Floats:
    """The same for a series that is too long to be transformed at once.

    How often both of two values so many apart are 1 is a whole number, and is found exactly. That of the centred values
    follows from it and from how many of the first and of the last values are 1.
    """
    n, size = len(above), 4 << (lags - 1).bit_length()
    step = size - lags
    products = np.zeros(size // 2 + 1, np.complex128)
    for first in range(0, n, step):
        piece = above[first : first + step].astype(np.float64)
        before = np.zeros(lags + len(piece))  # the piece and as many values as there are lags before it
        reach = min(first, lags)
        before[lags - reach :] = above[first - reach : first + len(piece)]
        products += np.conj(np.fft.rfft(piece, size)) * np.fft.rfft(before, size)
    both = np.rint(np.fft.irfft(products, size)[lags:0:-1])  # a value against the one that lies `lag` before it
    ones = float(np.count_nonzero(above))
    mean, lag = ones / n, np.arange(lags)
    first_ones = np.concatenate([[0.0], np.cumsum(above[: lags - 1], dtype=np.float64)])
    last_ones = np.concatenate([[0.0], np.cumsum(above[:-lags:-1], dtype=np.float64)])
    covariance: Floats = both - mean * (2.0 * ones - first_ones - last_ones) + (n - lag) * mean**2
    return covariance
