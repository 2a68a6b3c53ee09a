"""The trials of a sweep, and the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from harness.documents import key

Value = int | float | str
"""A value of an axis, for tables and plots: see `Axis.scalars`."""


@dataclass(frozen=True, order=True)
class Trial:
    """One run of a variant. Both numbers count from 1."""

    variant: Annotated[int, key("cell")]
    repeat: int


def shuffled_rounds(variants: int, repeats: int, seed: int) -> tuple[Trial, ...]:
    """Every variant once a round, each round in a new random order: drift falls on no variant alone."""
    rng = np.random.default_rng(seed)
    rounds = ((repeat, rng.permutation(variants)) for repeat in range(1, repeats + 1))
    return tuple(Trial(int(index) + 1, repeat) for repeat, order in rounds for index in order)
