"""What an evaluation says, as it goes to a report or into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.stats.proportions import Difference, Share


@dataclass(frozen=True)
class Pair:
    """How often the reference answers one class and the variant another. lead: the most logits that lay between."""

    reference: str
    variant: str
    count: int
    lead: float | None


@dataclass(frozen=True)
class Agreement:
    """What a variant answers, against the reference.

    top1: the same answer; an image that the variant does not serve is none. difference_max: the largest difference of
    a logit; difference_p50: the median over images of each one's largest. lead_max: how far at most the reference's
    answer was ahead of the variant's where they differ, in logits. not_finite: images with a logit that is no number.
    """

    top1: Share
    difference_max: float | None
    difference_p50: float | None
    lead_max: float | None
    pairs: tuple[Pair, ...]
    """The most frequent disagreements."""
    not_finite: int


@dataclass(frozen=True)
class Result:
    """One variant. error: why there are no figures. failures: why it did not serve an image that the reference did.

    top1_change: its share of right answers minus that of the reference.
    """

    variant: str
    changes: tuple[str, ...] = ()
    error: str = ""
    details: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    top1: Share | None = None
    top5: Share | None = None
    top1_change: Difference | None = None
    agreement: Agreement | None = None
    effective: Mapping[str, object] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Limits:
    """What is asked of every variant, as shares; None asks nothing."""

    top1: float | None = None
    agreement: float | None = None
    drop: float | None = None


@dataclass(frozen=True)
class Gate:
    """One limit on one variant, and whether it is met."""

    variant: str
    what: str
    limit: float
    value: float
    met: bool


@dataclass(frozen=True)
class Accuracy:
    """The whole answer. images: how many the reference served; every share is one of these."""

    scenario: str
    reference: str
    data: str
    images: int
    classes: int
    mapped_by: str
    """Where the labels come from; empty where there are none."""
    outside: int
    """Images in the folder that lie in no class's folder."""
    unreadable: Mapping[str, str]
    """Why the reference could not serve an image, by its name: these are in no figure."""
    lead_p50: float
    """The median lead of the reference's answer over its second, in logits."""
    results: tuple[Result, ...]
    """The reference's first."""
    gates: tuple[Gate, ...]
    warnings: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Combinations that are no variant, and why."""
    interrupted: bool = False
    error: HarnessError | None = None
    """What the first of the variants without figures met."""
