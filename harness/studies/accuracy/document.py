"""The document of an evaluation: what is printed as JSON and shown. Shares are of the images that the reference served.

All intervals hold with 95 % confidence, each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from harness.documents import Document, Kind, Number, key
from harness.stats.proportions import Difference, Share
from harness.summary.facts import Effective


class ClassPair(Document):
    """Images for which the reference predicts one class and the variant another."""

    reference: str
    """The class that the reference predicts."""
    variant: str
    """The class that the variant predicts."""
    count: int
    """How many images."""
    lead: Number
    """The largest lead of the reference's class over the variant's, in the reference's logits."""


class Agreement(Document):
    """The predictions of a variant compared with those of the reference."""

    top1: Share
    """Images with the same predicted class; one that the variant does not serve counts as different."""
    difference_max: Number
    """The largest absolute difference of a logit."""
    difference_p50: Number
    """The median over images of each one's largest difference."""
    lead_max: Number
    """Where the predictions differ: the largest lead of the reference's class over the variant's, in logits."""
    pairs: tuple[ClassPair, ...]
    """The most frequent disagreements."""
    not_finite: int
    """Images with a logit that is infinite or not a number."""


class VariantResult(Document):
    """One variant, or the reference."""

    variant: str
    """Its label."""
    overrides: Annotated[tuple[str, ...], key("changes")] = ()
    """What makes it differ from the scenario."""
    error: str = ""
    """Why it has no figures."""
    details: str = ""
    """The traceback and what the process printed."""
    failures: Mapping[str, str] = {}
    """Why it did not serve an image that the reference served, by the image's name."""
    top1: Share | None = None
    """Images whose predicted class is the label; None without labels."""
    top5: Share | None = None
    """Images whose label is among the five largest logits; None without labels, or with five classes or fewer."""
    top1_change: Difference | None = None
    """Its top-1 share minus that of the reference."""
    agreement: Agreement | None = None
    """With the reference; None for the reference itself."""
    effective: Mapping[str, Effective] = {}
    """What each stage of it read back, by name."""
    seconds: float | None = None
    """From the first image to the last; no measurement, as nothing was kept from disturbing it."""


class GateResult(Document):
    """One limit on one variant."""

    variant: str
    what: str
    """Such as `top-1 at least`."""
    limit: float
    value: float
    met: bool


class AccuracyDocument(Document):
    """An evaluation of variants against labels and against a reference."""

    schema_version: int
    scenario: str
    """Its name."""
    reference: str
    """Backend of its preprocessing, runtime and precision."""
    data: str
    """The images: a folder, or what the scenario's source says."""
    images: int
    """Images that the reference served."""
    classes: int
    """Outputs of the model."""
    mapped_by: str
    """What maps folders to classes; empty without labels."""
    outside: int
    """Images in the folder that lie in no class's folder: left out."""
    unreadable: Mapping[str, str]
    """Why the reference did not serve an image, by its name: in no figure."""
    lead_p50: float
    """The median lead of the reference's largest logit over its second."""
    results: tuple[VariantResult, ...]
    """The reference's first."""
    gates: tuple[GateResult, ...]
    """Limits."""
    warnings: tuple[str, ...]
    """Why the figures may say little."""
    left_out: tuple[str, ...] = ()
    """Combinations that the scenario refuses, and why."""
    interrupted: bool = False
    """Variants that are missing were not evaluated."""
    error: str | None = None
    """Of the first variant without figures."""


EVALUATION = Kind("the result of an evaluation", AccuracyDocument)
