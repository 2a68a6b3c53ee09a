"""The findings of a comparison in sentences: for each further side a conclusion, and the stage that causes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.numbers import ms, percent
from harness.stats.comparison import Effect

HEADLINE = ("e2e.p99", "e2e.p50", "e2e.p90", "e2e.mean", "throughput")
"""The metrics that a conclusion is about, the most important first."""
_SERVICE = re.compile(r"stages\.(.+)\.service\.mean")


def read(effects: Sequence[Effect], margin: float, a: str, b: str) -> list[str]:
    """Sentences on the effects of side b against side a, the conclusion first. a, b: what people call the sides."""
    by_metric = {effect.metric: effect for effect in effects}
    headline = [by_metric[metric] for metric in HEADLINE if metric in by_metric]
    return [_conclusion(headline, margin, a, b), *_cause(effects, b)]


def _conclusion(headline: Sequence[Effect], margin: float, a: str, b: str) -> str:
    better, worse, equal, undecided = (
        [effect for effect in headline if effect.verdict == verdict]
        for verdict in ("faster", "slower", "no difference", "inconclusive")
    )
    unknown = [effect for effect in headline if effect.verdict in ("inconclusive", "declined")]
    within = f"no difference beyond {percent(margin, 2)}"
    if better and worse:
        return f"It depends: {b} is better in {_changes(better)}, and worse in {_changes(worse)}."
    if better or worse:
        rest = [f"{within} in {_names(equal)}"] if equal else []
        rest += [f"{_names(unknown)} not decided"] if unknown else []
        return "; ".join([f"{b} is {'faster' if better else 'slower'}: {_changes(better or worse)}", *rest]) + "."
    if undecided:
        return f"Not decided: {_open(undecided[0], a, b)}."
    if equal:
        return f"There is {within} between {a} and {b} in {_names(equal)}."
    reasons = sorted({effect.reason for effect in headline if effect.reason})
    return f"No result: {'; '.join(reasons) or 'nothing was measured'}."


def _cause(effects: Sequence[Effect], b: str) -> list[str]:
    """The stage whose service changed most, if any did."""
    changed = [e for e in effects if e.verdict in ("faster", "slower") and _SERVICE.fullmatch(e.metric)]
    if not changed:
        return []
    most = max(changed, key=lambda effect: abs(effect.difference or 0.0))
    stage = most.metric.split(".")[1]
    return [f"The largest change of {b} is in {stage}: its mean service went from {ms(most.a)} to {ms(most.b)} ms."]


def _changes(effects: Sequence[Effect]) -> str:
    """`p99 12 % lower (8.1 % to 16 %), p50 11 % lower (9.9 % to 12 %)`."""
    return ", ".join(map(_change, effects))


def _change(effect: Effect) -> str:
    assert effect.ratio is not None and effect.ratio_interval is not None  # it has a verdict
    near, far = sorted(abs(end - 1.0) for end in effect.ratio_interval)
    change = effect.ratio - 1.0
    return (
        f"{_name(effect)} {percent(abs(change), 2)} {'lower' if change < 0 else 'higher'}"
        f" ({percent(near, 2)} to {percent(far, 2)})"
    )


def _open(effect: Effect, a: str, b: str) -> str:
    assert effect.ratio_interval is not None
    low, high = (end - 1.0 for end in effect.ratio_interval)
    needed = effect.requests_needed
    longer = f"; about {requests(needed)} requests a side would decide it" if needed else ""
    return f"{_name(effect)} of {b} may differ from that of {a} by {_signed(low)} to {_signed(high)}{longer}"


def requests(count: int) -> str:
    """A number of requests that is an estimate: two digits, rounded up."""
    unit = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // unit) * unit:,}"


def _names(effects: Sequence[Effect]) -> str:
    return ", ".join(map(_name, effects))


def _name(effect: Effect) -> str:
    return effect.metric.removeprefix("e2e.")


def _signed(share: float) -> str:
    return f"{'-' if share < 0 else '+'}{percent(abs(share), 2)}"
