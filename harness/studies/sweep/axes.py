"""Short names for the axes of a sweep and its variants, and axes as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.studies.sweep.trials import Value
from harness.units import parse_duration, parse_rate


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Key -> short name, without the stage where names still differ: stages.a.batch.max -> batch.max."""
    short = {key: _without_place(key) for key in keys}
    names = list(short.values())
    return {key: name if names.count(name) == 1 else key.removeprefix("stages.") for key, name in short.items()}


def label(values: Mapping[str, Value], keys: Sequence[str] | None = None) -> str:
    """A variant, or its values of these `keys`, in words: `batch.max 4, utilisation 0.6`."""
    names = short_names(list(values))
    return ", ".join(f"{names[key]} {values[key]}" for key in (values if keys is None else keys))


def numbers(values: Sequence[Value]) -> list[float] | None:
    """The values of an axis as numbers, rates per second and durations in ms; None where one is not a number."""
    for kind in (_plain, parse_rate, _ms):
        try:
            return [kind(value) for value in values]
        except ValueError:
            continue
    return None


def _without_place(key: str) -> str:
    parts = key.split(".")
    rest = parts[2:] if parts[0] == "stages" else parts[1:]
    return ".".join(rest or parts)


def _plain(value: Value) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _ms(value: Value) -> float:
    return parse_duration(0 if value == "0" else value) / 1e6
