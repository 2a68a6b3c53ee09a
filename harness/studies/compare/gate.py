"""Limits on a comparison, for CI: `--fail-if 'e2e.p99 > +5%'`.

A limit names a metric, the direction that is bad (> or <), and how far is too far:

    e2e.p99 > +5%                        b's p99 against a's, relative
    e2e.p99 > +3ms, throughput < -2/s    the difference, with its sign
    e2e.p99 > 200ms, throughput < 40/s   b's own figure, without a sign

It fails when the whole interval lies beyond the limit: not by chance. When the limit lies inside the interval, the run
cannot decide: that passes, with a message that says how long a run could. A metric that cannot be judged at all (too
few blocks or requests, a saturated side) fails, because a gate that cannot measure would always pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import UsageError
from harness.stats.comparison import Comparison, Effect
from harness.stats.metrics import parse_metric
from harness.units import parse_duration, parse_rate

Against = Literal["ratio", "difference", "figure"]
Outcome = Literal["kept", "failed", "undecided", "not judged"]
_FORM = re.compile(r"\s*(?P<metric>[^\s<>=]+)\s*(?P<side>[<>])\s*(?P<sign>[+-]?)\s*(?P<amount>[^\s<>=][^<>=]*?)\s*")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Limit:
    """A metric must not lie beyond `value`, above or below it. The value is a ratio, or a difference or figure in ms or
    1/s.

    text: as the user wrote it.
    """

    text: str
    metric: str
    above: bool
    against: Against
    value: float


@dataclass(frozen=True)
class Judgement:
    """The result of a limit. estimate, interval: a ratio, difference or figure, as the limit; None where declined."""

    limit: Limit
    outcome: Outcome
    estimate: float | None
    interval: tuple[float, float] | None
    message: str

    @property
    def failed(self) -> bool:
        """Whether the command ends with exit code 3."""
        return self.outcome in ("failed", "not judged")


def parse_limit(text: str, stages: Sequence[str]) -> Limit:
    """Read a limit of the command line. stages: names of the pipeline's stages. Raises UsageError."""
    where = f"--fail-if {text!r}"
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError("expected METRIC > LIMIT or METRIC < LIMIT", where=where, hint=_EXAMPLES)
    try:
        metric = parse_metric(match["metric"], stages)
    except UsageError as error:
        raise UsageError(error.what, where=where, hint=error.hint) from None
    sign, amount = match["sign"], match["amount"]
    percent = _PERCENT.fullmatch(amount)
    if percent is not None:
        if not sign:
            raise UsageError("a relative limit needs its sign", where=where, hint=f"Write +{amount} or -{amount}.")
        against: Against = "ratio"
        value = 1.0 + float(sign + percent[1]) / 100.0
        if value <= 0.0:
            raise UsageError("nothing gets smaller by 100 % or more", where=where, hint=_EXAMPLES)
    else:
        against = "difference" if sign else "figure"
        try:
            size = parse_duration(amount) / 1e6 if metric.unit == "ms" else parse_rate(amount)
        except ValueError as error:
            raise UsageError(f"expected a percentage such as +5%, or {error}", where=where, hint=_EXAMPLES) from None
        value = -size if sign == "-" else size
    return Limit(text.strip(), metric.name, match["side"] == ">", against, value)


_EXAMPLES = "For example 'e2e.p99 > +5%', 'e2e.p99 > +3ms', 'e2e.p99 > 200ms' or 'throughput < -3%'."


def alone(limits: Iterable[Limit]) -> set[str]:
    """The metrics that need an interval for b by itself, as `compare_many` takes them."""
    return {limit.metric for limit in limits if limit.against == "figure"}


def judge(limit: Limit, comparison: Comparison) -> Judgement:
    """Judge a limit. Raises KeyError for a comparison without the limit's metric."""
    effect = comparison.effect(limit.metric)
    estimate, interval = _seen(limit, effect)
    if estimate is None or interval is None:
        why = effect.reason or "too few requests for an interval"
        message = f"{limit.text}: cannot be judged: {why}{_longer(effect)}"
        return Judgement(limit, "not judged", estimate, None, message)
    low, high = interval
    beyond = (low > limit.value, high > limit.value) if limit.above else (high < limit.value, low < limit.value)
    outcome: Outcome = "failed" if all(beyond) else "undecided" if any(beyond) else "kept"
    told = f"{_write(limit, estimate)} ({comparison.confidence:.0%} interval {_write(limit, low)} to"
    told += f" {_write(limit, high)})"
    ending = f": this run cannot decide{_longer(effect)}" if outcome == "undecided" else ""
    return Judgement(limit, outcome, estimate, interval, f"{limit.text}: {outcome}: {told}{ending}")


def _seen(limit: Limit, effect: Effect) -> tuple[float | None, tuple[float, float] | None]:
    if limit.against == "ratio":
        return effect.ratio, effect.ratio_interval
    if limit.against == "difference":
        return effect.difference, effect.difference_interval
    return effect.b, effect.b_interval


def _longer(effect: Effect) -> str:
    return "" if effect.requests_needed is None else f"; about {effect.requests_needed:,} requests a side could"


def _write(limit: Limit, value: float) -> str:
    if limit.against == "ratio":
        return f"{value - 1.0:+.2%}"
    unit = "/s" if limit.metric == "throughput" else " ms"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:{'+' if limit.against == 'difference' else ''}.{min(digits, 6)}f}{unit}"
