"""Is one side faster than the other? Two or more sides, measured in blocks, metric by metric, corrected together.

The unit of observation is a block (see `blocks`): of each pair of blocks with the same arrivals, run close together,
it counts how far b lies above a. One limit for the t statistics of all metrics is found by changing the signs of whole
blocks (Westfall and Young 1993), so that the chance of any false verdict among them is 1 - confidence, and a verdict
says no more than its interval. The limit is the larger of two: with signs changed under no difference, where it is
exact for exchangeable sides, and around the estimates, where the intervals are. `benchmarks/comparison.py` shows how
often it errs and what it finds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, computed_field
from pydantic.dataclasses import dataclass as document

from harness.records import RunRecords
from harness.stats import blocks
from harness.stats.blocks import Contrast, Move
from harness.stats.metrics import Metric, default_metrics, parse_metric
from harness.stats.sides import Obstacle, Side, contrast, obstacle, own_interval

Verdict = Literal["faster", "slower", "no difference", "inconclusive", "declined"]


def _open_ended(ends: Any) -> Any:
    """JSON has no infinity: an end that is null there is open."""
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return ends
    low, high = ends
    return (-math.inf if low is None else low, math.inf if high is None else high)


Ends = Annotated[tuple[float, float], BeforeValidator(_open_ended)]
POWER = 0.9
FAR = 10.0
"""The logarithm of a ratio beyond which nothing is looked for."""


@document(frozen=True)
class Effect:
    """One metric of side b against side a. Figures and differences in `unit`; a ratio is b / a.

    a, b: over all blocks; None where there is nothing to measure. The intervals of ratio and difference hold for all
    metrics of the comparison at once; None when declined. b_interval: of b alone, where it was asked for.
    smallest_effect: the relative change (0.03 for 3 %) that this run would have found with a probability of POWER.
    lengthen: by what factor the run has to be longer to find a change of the margin with that probability, and
    requests_needed: how many requests a side that is; None where nothing is missing, or more would not help.
    reason: why it is declined, else empty.
    """

    metric: str
    unit: Literal["ms", "/s"]
    higher_is_better: bool
    a: float | None
    b: float | None
    ratio_interval: Ends | None
    difference_interval: Ends | None
    b_interval: Ends | None
    verdict: Verdict
    smallest_effect: float | None
    lengthen: float | None
    requests_needed: int | None
    reason: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ratio(self) -> float | None:
        """b / a."""
        return None if self.a is None or self.b is None or not self.a else self.b / self.a

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> float | None:
        """b - a, in the unit."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """Side b against side a. requests: completed, of a and of b. notes: what limits it, such as failed requests."""

    effects: tuple[Effect, ...]
    blocks: int
    requests: tuple[int, int]
    confidence: float
    margin: float
    paired: bool
    notes: tuple[str, ...] = ()

    def effect(self, metric: str) -> Effect:
        """The effect on one metric. Raises KeyError."""
        found = next((e for e in self.effects if e.metric == metric), None)
        if found is None:
            raise KeyError(metric)
        return found


def compare_sides(
    a: Sequence[RunRecords],
    b: Sequence[RunRecords],
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    metrics: Sequence[str] | None = None,
    alone: Collection[str] = (),
    paired: bool = True,
) -> Comparison:
    """Compare side b with side a. Each is a sequence of RunRecords, one a block.

    Only measured, completed requests count: warm-up may stay in the records. metrics: names, by default
    `metrics.default_metrics`. alone: those of which b's own interval is wanted. paired: the i-th blocks of both had the
    same arrivals. Raises UsageError for an unknown metric, ValueError for blocks that cannot be paired.
    """
    return compare_many([a, b], margin=margin, confidence=confidence, metrics=metrics, alone=alone, paired=paired)[0]


def compare_many(
    sides: Sequence[Sequence[RunRecords]],
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    metrics: Sequence[str] | None = None,
    alone: Collection[str] = (),
    paired: bool = True,
) -> tuple[Comparison, ...]:
    """Compare every further side with the first, all metrics of all sides corrected together."""
    if not margin > 0.0 or not 0.0 < confidence < 1.0:
        raise ValueError(f"expected a margin above 0 and a confidence between 0 and 1, not {margin} and {confidence}")
    if len(sides) < 2 or (paired and len({len(side) for side in sides}) != 1):
        raise ValueError("a comparison needs two sides or more, with as many blocks each where they are paired")
    first, *others = [Side.of(side, f"side {chr(ord('a') + i)}") for i, side in enumerate(sides)]
    stages = [name for name in first.stages if all(name in other.stages for other in others)]
    wanted = [parse_metric(name, stages) for name in (default_metrics(stages) if metrics is None else metrics)]
    asked = [[_ask(metric, first, other, confidence) for metric in wanted] for other in others]
    limit = _limit([q for pair in asked for q in pair if not isinstance(q, Obstacle)], confidence, paired)
    comparisons = []
    for other, answers in zip(others, asked, strict=True):
        longest = max(first.requests, other.requests)
        effects = [
            _declined(metric, answer, longest)
            if isinstance(answer, Obstacle)
            else _effect(metric, answer, limit, margin, longest, paired)
            for metric, answer in zip(wanted, answers, strict=True)
        ]
        effects = [
            replace(effect, b_interval=own_interval(metric, other, confidence))
            if effect.metric in alone and effect.b is not None
            else effect
            for metric, effect in zip(wanted, effects, strict=True)
        ]
        there, requests = min(len(first.blocks), len(other.blocks)), (first.requests, other.requests)
        notes = (*first.notes, *other.notes)
        comparisons.append(Comparison(tuple(effects), there, requests, confidence, margin, paired, notes))
    return tuple(comparisons)


def _ask(metric: Metric, a: Side, b: Side, confidence: float) -> Contrast | Obstacle:
    found = obstacle(metric, a, b, confidence) or contrast(metric, a, b)
    if not isinstance(found, Obstacle) and not min(found.a, found.b) > 0.0:
        return Obstacle("there is no ratio to 0")
    return found


def _limit(family: Sequence[Contrast], confidence: float, paired: bool) -> float:
    """What no |t| of the family exceeds with a probability of `confidence`, if there is no difference at all."""
    if not family:
        return math.inf
    estimates = [blocks.groups(c.scores(_scale(c.b / c.a)), paired=paired) for c in family]
    limit = blocks.critical(blocks.flipped([blocks.centred(e) for e in estimates]), confidence)
    if paired:
        nothing = [blocks.groups(c.scores(_scale(1.0)), paired=True) for c in family]
        limit = max(limit, blocks.critical(blocks.flipped(nothing), confidence))
    return limit


def _effect(metric: Metric, found: Contrast, limit: float, margin: float, requests: int, paired: bool) -> Effect:
    def t(move: Move) -> float:
        return blocks.statistic(blocks.groups(found.scores(move), paired=paired))

    def apart(within: float) -> Ends:
        return blocks.ends(lambda x: t(_scale(math.exp(x))), math.log(b / a), blocks.FIRST_STEP, within)

    a, b = found.a, found.b
    low, high = apart(limit)
    one = apart(1.0)
    if math.isinf(high - low):
        furthest = min(abs(t(_scale(math.exp(x)))) for x, end in ((-FAR, low), (FAR, high)) if math.isinf(end))
        longer = (1.5 * limit / furthest) ** 2 if furthest else FAR
        return _declined(metric, Obstacle("what is slowest came in too few of the blocks", longer), requests, a, b)
    # Near the estimate the error of a far quantile is an estimate from few values: the whole interval is the better.
    error = max((high - low) / (2.0 * limit) if limit else 0.0, (one[1] - one[0]) / 2.0)
    freedom = sum(len(group) - 1 for group in blocks.groups(found.scores(_scale(1.0)), paired=paired))
    resolution = _resolution(error, limit, freedom)
    difference = blocks.ends(lambda d: t(_shift(d)), b - a, blocks.FIRST_STEP * max(a, b), limit)
    verdict = _verdict(metric, low, high, math.log1p(margin))
    lengthen = None
    if verdict == "inconclusive":
        # Where a change of the margin would have been seen, what was seen lies between none and the margin.
        seen = abs(math.log(b / a))
        target = max(seen, math.log1p(margin) - seen) if resolution <= math.log1p(margin) else math.log1p(margin)
        lengthen = max(1.0, (resolution / target) ** 2)
    return Effect(
        metric.name,
        metric.unit,
        metric.higher_is_better,
        a,
        b,
        (math.exp(low), math.exp(high)),
        difference,
        None,
        verdict,
        math.expm1(resolution),
        lengthen,
        None if lengthen is None else math.ceil(lengthen * requests),
    )


def _resolution(error: float, limit: float, freedom: int) -> float:
    """The logarithm of the smallest ratio that is found with a probability of POWER, given its standard error."""
    from scipy.special import stdtrit

    return error * (limit + float(stdtrit(freedom, POWER)))


def _verdict(metric: Metric, low: float, high: float, margin: float) -> Verdict:
    """Of an interval for the logarithm of the ratio."""
    if low > 0.0 or high < 0.0:
        return "faster" if (low > 0.0) == metric.higher_is_better else "slower"
    return "no difference" if max(-low, high) <= margin else "inconclusive"


def _declined(metric: Metric, why: Obstacle, requests: int, a: float | None = None, b: float | None = None) -> Effect:
    needed = None if why.lengthen is None else math.ceil(why.lengthen * requests)
    return Effect(
        metric=metric.name,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        a=a,
        b=b,
        ratio_interval=None,
        difference_interval=None,
        b_interval=None,
        verdict="declined",
        smallest_effect=None,
        lengthen=why.lengthen,
        requests_needed=needed,
        reason=why.reason,
    )


def _scale(ratio: float) -> Move:
    return lambda values: values / ratio


def _shift(difference: float) -> Move:
    return lambda values: values - difference
