"""Limits on latency as one figure: the excess is the worst statistic over what it may be, at most 1 when all hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.scenario.model import Scenario
from harness.stats.intervals import dependent
from harness.stats.quantiles import quantile
from harness.summary import LEVELS
from harness.units import parse_duration

Floats = NDArray[np.float64]
STATISTICS = (*LEVELS, "mean")
_HINT = f"Such as --slo p99=150ms; there are {', '.join(STATISTICS)}."


@dataclass(frozen=True)
class Limit:
    """One statistic of the e2e latency and what it may be, in ns."""

    name: str
    limit_ns: int

    def excess(self, latency_ns: Floats) -> float:
        """The statistic of latencies, shape (n,), over the limit."""
        value = float(latency_ns.mean()) if self.name == "mean" else quantile(latency_ns, LEVELS[self.name])
        return value / self.limit_ns

    def interval(self, latency_ns: Floats) -> tuple[float, float] | None:
        """The interval of that from these latencies alone, in order of arrival; None when they are too few to tell.

        There is none for a mean.
        """
        if self.name == "mean":
            return None
        found = dependent(latency_ns, LEVELS[self.name])
        return None if found.lo is None or found.hi is None else (found.lo / self.limit_ns, found.hi / self.limit_ns)


def excess(latency_ns: Floats, limits: Sequence[Limit]) -> float:
    """The largest of statistic over limit, for latencies of shape (n,)."""
    return max(limit.excess(latency_ns) for limit in limits)


def interval(latency_ns: Floats, limits: Sequence[Limit]) -> tuple[float, float] | None:
    """The interval of the excess from these latencies alone; None where one of the limits has none."""
    found = [limit.interval(latency_ns) for limit in limits]
    ends = [ends for ends in found if ends is not None]
    return (max(lo for lo, _ in ends), max(hi for _, hi in ends)) if len(ends) == len(limits) else None


def limits_of(scenario: Scenario, given: Sequence[str]) -> tuple[Limit, ...]:
    """The limits `given` as text (`p99=150ms`), else the scenario's own. Raises UsageError."""
    if given:
        limits = tuple(_parse(text) for text in given)
        twice = next((x.name for x in limits if sum(y.name == x.name for y in limits) > 1), None)
        if twice:
            raise UsageError(f"{twice} is limited twice", where="--slo")
        return limits
    named = scenario.slo.limits_ns if scenario.slo else {}
    if "max" in named:
        raise UsageError(
            "the scenario limits max, which grows with the number of requests and belongs to no load",
            where=f"{scenario.name}: slo.max",
            hint=_HINT,
        )
    if not named:
        raise UsageError("the scenario has no slo, and none is given", where=scenario.name, hint=_HINT)
    return tuple(Limit(name, limit_ns) for name, limit_ns in named.items())


def _parse(text: str) -> Limit:
    name, equals, value = (part.strip() for part in text.partition("="))
    where = f"--slo {text}"
    if not equals or name not in STATISTICS:
        raise UsageError("expected a statistic and its limit", where=where, hint=_HINT)
    try:
        limit_ns = parse_duration(value)
    except ValueError as error:
        raise UsageError(f"expected {error}", where=where) from None
    if limit_ns == 0:
        raise UsageError("no request completes in no time", where=where, hint=_HINT)
    return Limit(name, limit_ns)
