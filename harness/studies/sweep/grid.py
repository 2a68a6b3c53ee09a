"""Axes of a grid, and the order in which the trials of its cells run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UsageError

_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True)
class Axis:
    """One key of a scenario and the values that it takes, as `--set` would be given them."""

    key: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """`stages.inference.batch.max=1,2,4`; commas in brackets belong to a value. Raises UsageError."""
        key, equals, listed = text.partition("=")
        values = tuple(_split(listed))
        if not equals or not key.strip() or not all(values):
            raise UsageError(
                "expected KEY=VALUE,VALUE,...",
                where=f"--grid {text}",
                hint="Such as --grid stages.inference.batch.max=1,2,4,8",
            )
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise UsageError(
                f"{twice} stands twice", where=f"--grid {text}", hint="--repeat N runs every cell N times."
            )
        return cls(key.strip(), values)

    @property
    def typed(self) -> tuple[Any, ...]:
        """The values as whole numbers, or as numbers, where all of them are such; else as text."""
        for kind in (int, float):
            try:
                return tuple(kind(value) for value in self.values)
            except ValueError:
                continue
        return self.values


@dataclass(frozen=True, order=True)
class Trial:
    """One run of a cell. Both count from 1."""

    cell: int
    repeat: int


def shuffled_rounds(cells: int, repeats: int, seed: int) -> tuple[Trial, ...]:
    """Every cell once a round, each round in a new random order: a drift of the machine falls on no cell alone."""
    rng = np.random.default_rng(seed)
    return tuple(Trial(int(cell) + 1, repeat) for repeat in range(1, repeats + 1) for cell in rng.permutation(cells))


def _split(text: str) -> list[str]:
    """At the commas that stand outside of brackets, braces and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
