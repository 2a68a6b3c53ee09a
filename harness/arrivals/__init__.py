"""Due times: a pure function of the kind of load, its rate, the number of requests and a seed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.scenario.model import Bursts, Constant, Gamma, OpenLoad, Poisson, Trace

LONGEST_S = 366 * 24 * 3600.0  # what fits into int64 nanoseconds, and then some
MOST_PERIODS = 20_000_000


def due_times(load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

    `rate_rps` is the long-run mean rate. The first request is due one gap after the start, except that a trace
    keeps its own times. Raises ScenarioError for a trace that cannot be read, and for times beyond a year.
    """
    rng = np.random.default_rng(seed)
    if isinstance(load, Trace):
        return trace_times(load, None if math.isinf(rate_rps) else rate_rps)[:count]
    if isinstance(load, Constant):
        gaps_s = np.full(count, 1 / rate_rps)
    elif isinstance(load, Poisson):
        gaps_s = rng.exponential(1 / rate_rps, count)
    elif isinstance(load, Gamma):
        shape = load.cv**-2
        gaps_s = rng.gamma(shape, 1 / (rate_rps * shape), count)
    elif isinstance(load, Bursts):
        return _interrupted_poisson(load, rate_rps, count, rng)
    return _nanoseconds(np.cumsum(gaps_s) * 1e9)


def _interrupted_poisson(load: Bursts, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Poisson arrivals on the clock of the on periods; each off period shifts what comes after it."""
    on_rate_rps = rate_rps * (load.on_time + load.off_time) / load.on_time
    busy_ns = np.cumsum(rng.exponential(1e9 / on_rate_rps, count))
    last_ns = busy_ns[-1] if count else 0.0
    periods = max(16, int(last_ns / load.on_time))
    if periods > MOST_PERIODS:
        raise ScenarioError(
            f"the schedule would hold {periods:,} on periods", where="load.on_time", hint="Make them longer."
        )
    ends_ns = np.cumsum(rng.exponential(load.on_time, periods))
    while ends_ns[-1] < last_ns:
        ends_ns = np.concatenate([ends_ns, ends_ns[-1] + np.cumsum(rng.exponential(load.on_time, periods))])
    off_ns = np.concatenate([[0.0], np.cumsum(rng.exponential(load.off_time, len(ends_ns)))])
    return _nanoseconds(busy_ns + off_ns[np.searchsorted(ends_ns, busy_ns)])


def _nanoseconds(times_ns: NDArray[np.float64]) -> NDArray[np.int64]:
    if len(times_ns) and times_ns[-1] > LONGEST_S * 1e9:
        raise ScenarioError(
            f"the last request would be due after {times_ns[-1] / 86400e9:,.0f} days",
            where="load",
            hint="Raise the rate, or lower the number of requests.",
        )
    due: NDArray[np.int64] = times_ns.astype(np.int64)
    return due


def trace_times(load: Trace, rate_rps: float | None = None) -> NDArray[np.int64]:
    """All due times of a trace file in ns, stretched to `rate_rps` when it is given. Raises ScenarioError."""
    times_s = _read_trace(load.file)
    if rate_rps is not None:
        if times_s[-1] == 0:
            raise ScenarioError("its times are all 0: there is no rate to stretch", where=f"load.file: {load.file}")
        times_s = times_s * (trace_rate(times_s) / rate_rps)
    return _nanoseconds(times_s * 1e9)


def _read_trace(path: str) -> NDArray[np.float64]:
    """Seconds, ascending, shape (n,) with n at least 1."""
    where = f"load.file: {path}"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"cannot read the trace: {reason}", where=where) from None
    times_s: list[float] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            time_s = float(text)
        except ValueError:
            raise ScenarioError(f"expected a time in seconds, got {text!r}", where=f"{where}:{number}") from None
        if not (times_s[-1] if times_s else 0.0) <= time_s <= LONGEST_S:
            raise ScenarioError(
                f"times must be finite, at least 0 and ascending; got {text}",
                where=f"{where}:{number}",
            )
        times_s.append(time_s)
    if not times_s:
        raise ScenarioError("it holds no times: expected one in seconds a line", where=where)
    return np.array(times_s)


def trace_rate(times_s: NDArray[np.float64]) -> float:
    """Mean rate of a trace, in requests per second; infinite when all of it is at once."""
    return len(times_s) / float(times_s[-1]) if times_s[-1] else math.inf
