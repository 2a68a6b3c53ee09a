"""Interleaved timing: every round calls each contender once, so that drift of the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Timing:
    """Times of one contender. p05 and p95 show the spread."""

    median_ms: float
    p05_ms: float
    p95_ms: float
    rounds: int


def interleave(calls: Mapping[str, Callable[[], object]], seconds: float, min_rounds: int = 15) -> dict[str, Timing]:
    """Call all in turn, in an order that rotates, for about `seconds`; one uncounted round goes first."""
    names = list(calls)
    for name in names:
        calls[name]()
    times: dict[str, list[int]] = {name: [] for name in names}
    began = time.perf_counter()
    rounds = 0
    while rounds < min_rounds or time.perf_counter() - began < seconds:
        for k in range(len(names)):
            name = names[(k + rounds) % len(names)]
            start = time.perf_counter_ns()
            calls[name]()
            times[name].append(time.perf_counter_ns() - start)
        rounds += 1
    return {name: summarise(np.asarray(values) / 1e6) for name, values in times.items()}


def summarise(times_ms: NDArray[np.float64]) -> Timing:
    """Median and the 5 % and 95 % quantiles."""
    low, middle, high = np.quantile(times_ms, [0.05, 0.5, 0.95])
    return Timing(float(middle), float(low), float(high), len(times_ms))
