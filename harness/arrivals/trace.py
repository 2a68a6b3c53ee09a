"""Arrivals that were recorded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.arrivals.base import LONGEST_S, OpenLoad, nanoseconds
from harness.errors import ScenarioError
from harness.keys import FileName


class Trace(OpenLoad):
    """Due times from a file. `rate` or `utilisation`, when given, stretches them to that mean rate."""

    recorded: ClassVar[bool] = True

    arrivals: Literal["trace"] = "trace"
    file: Annotated[str, FileName()]
    """Seconds since the start, one a line, ascending; `#` starts a comment. A relative name counts from the scenario
    file's folder."""

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The first ones of the file."""
        return _times_ns(self, None if math.isinf(rate_rps) else rate_rps)[:count]


def trace_times(load: Trace, rate_rps: float | None = None) -> NDArray[np.int64]:
    """All due times of a trace file in ns, stretched to `rate_rps` when it is given. Raises ScenarioError."""
    return nanoseconds(_times_ns(load, rate_rps))


def _times_ns(load: Trace, rate_rps: float | None) -> NDArray[np.float64]:
    times_s = _read_trace(load.file)
    if rate_rps is not None:
        if times_s[-1] == 0:
            raise ScenarioError("its times are all 0: there is no rate to stretch", where=f"load.file: {load.file}")
        times_s = times_s * (trace_rate(times_s) / rate_rps)
    return times_s * 1e9


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
