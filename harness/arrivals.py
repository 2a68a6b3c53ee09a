"""Due times: a pure function of the kind of load, its rate, the number of requests and a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import ScenarioError
from harness.scenario.model import Bursts, Constant, Gamma, OpenLoad, Poisson, Trace


def due_times(load: OpenLoad, rate_rps: float, count: int, seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Due times of `count` requests in ns from the start of the schedule, ascending, shape (count,).

    `rate_rps` is the long-run mean rate. The first request is due one gap after the start, except that a trace
    keeps its own times.
    """
    rng = np.random.default_rng(seed)
    if isinstance(load, Trace):
        return trace_times(load, rate_rps)[:count]
    if isinstance(load, Constant):
        gaps_s = np.full(count, 1 / rate_rps)
    elif isinstance(load, Poisson):
        gaps_s = rng.exponential(1 / rate_rps, count)
    elif isinstance(load, Gamma):
        shape = load.cv**-2
        gaps_s = rng.gamma(shape, 1 / (rate_rps * shape), count)
    elif isinstance(load, Bursts):
        return _interrupted_poisson(load, rate_rps, count, rng)
    return np.cumsum(gaps_s * 1e9).astype(np.int64)


def _interrupted_poisson(load: Bursts, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Poisson arrivals on the clock of the on periods; each off period shifts what comes after it."""
    on_rate_rps = rate_rps * (load.on_time + load.off_time) / load.on_time
    busy_ns = np.cumsum(rng.exponential(1e9 / on_rate_rps, count))
    ends_ns = np.empty(0)
    while not len(ends_ns) or ends_ns[-1] < busy_ns[-1]:
        more = rng.exponential(load.on_time, max(16, int(busy_ns[-1] / load.on_time)))
        ends_ns = np.concatenate([ends_ns, (ends_ns[-1] if len(ends_ns) else 0.0) + np.cumsum(more)])
    off_ns = np.concatenate([[0.0], np.cumsum(rng.exponential(load.off_time, len(ends_ns)))])
    return (busy_ns + off_ns[np.searchsorted(ends_ns, busy_ns)]).astype(np.int64)


def trace_times(load: Trace, rate_rps: float | None = None) -> NDArray[np.int64]:
    """All due times of a trace file in ns, stretched to `rate_rps` when it is given. Raises ScenarioError."""
    where = f"load.file: {load.file}"
    try:
        times_s = np.loadtxt(Path(load.file), dtype=np.float64, ndmin=1, comments="#")
    except OSError as error:
        raise ScenarioError(f"cannot read the trace: {error.strerror or error}", where=where) from None
    except ValueError as error:
        raise ScenarioError(f"expected one time in seconds a line: {error}", where=where) from None
    if times_s.ndim != 1 or not len(times_s):
        raise ScenarioError("expected one time in seconds a line", where=where)
    if not np.isfinite(times_s).all() or times_s[0] < 0 or (np.diff(times_s) < 0).any():
        raise ScenarioError("times must be finite, at least 0 and ascending", where=where)
    if rate_rps is not None:
        if times_s[-1] == 0:
            raise ScenarioError("a trace whose times are all 0 has no rate to stretch", where=where)
        times_s = times_s * (trace_rate(times_s) / rate_rps)
    return (times_s * 1e9).astype(np.int64)


def trace_rate(times_s: NDArray[np.float64]) -> float:
    """Mean rate of a trace, in requests per second."""
    return len(times_s) / float(times_s[-1])
