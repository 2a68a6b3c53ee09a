"""Durations, rates, sizes and CPUs as people write them; whole nanoseconds and requests per second inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_PER_SECOND = {"s": 1.0, "min": 1 / 60, "h": 1 / 3600}
_LONGEST_NS = 366 * 24 * 3600 * 10**9
SLOWEST_RPS, FASTEST_RPS = 1e-6, 1e9
_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
LARGEST_SIDE, LAST_CPU = 65_535, 65_535
_CPUS = re.compile(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?")
_DURATION = re.compile(rf"{_NUMBER}\s*({'|'.join(_NS)})")
_RATE = re.compile(rf"{_NUMBER}\s*/\s*({'|'.join(_PER_SECOND)})")


def parse_duration(text: Any) -> int:
    """`5 ms` -> 5_000_000 (ns), to the nearest ns. A bare 0 needs no unit. Raises ValueError."""
    if text == 0 and not isinstance(text, bool):
        return 0
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"a duration with its unit, such as 5 ms or 1.5 s (units: {', '.join(_NS)})")
    number = Decimal(match[1])
    if number > _LONGEST_NS or number * _NS[match[2]] > _LONGEST_NS:
        raise ValueError("a duration with its unit, of at most a year")
    return round(number * _NS[match[2]])


def parse_rate(text: Any) -> float:
    """`20/s` -> 20.0 (per second). Raises ValueError."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    rate_rps = float(match[1]) * _PER_SECOND[match[2]] if match else 0.0
    if not SLOWEST_RPS <= rate_rps <= FASTEST_RPS:
        bounds = f" (from {format_rate(SLOWEST_RPS)} to {format_rate(FASTEST_RPS)})" if rate_rps else ""
        raise ValueError(f"a rate above 0 with its unit, such as 20/s or 1200/min{bounds}")
    return rate_rps


def format_duration(ns: int) -> str:
    """The shortest text that `parse_duration` reads back as `ns`."""
    unit, size = max(
        ((u, s) for u, s in _NS.items() if u in ("ns", "us", "ms", "s") and ns % s == 0), key=lambda p: p[1]
    )
    return f"{ns // size} {unit}" if ns else "0 s"


def format_rate(rate_rps: float) -> str:
    """Text that `parse_rate` reads back as `rate_rps`."""
    return f"{rate_rps!r}/s"


def parse_size(value: Any) -> int | tuple[int, int]:
    """224 -> 224, [224, 320] -> (224, 320). Raises ValueError."""
    sides = value if isinstance(value, list | tuple) else [value]
    whole = all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST_SIDE for side in sides)
    if not whole or not (len(sides) == 2 or sides is not value):
        raise ValueError(f"a size in pixels, up to {LARGEST_SIDE:,}, or [height, width]")
    return value if sides is not value else (sides[0], sides[1])


def parse_cpus(value: Any) -> tuple[int, ...]:
    """2 -> (2,), `0-1,4` -> (0, 1, 4), [0, `4-6`] -> (0, 4, 5, 6): ascending, each once. Raises ValueError.

    The text is the kernel's list format (cpuset(7)), without its strides.
    """
    items = value if isinstance(value, list | tuple) else [value]
    found: set[int] = set()
    for text in (part for item in items for part in (item.split(",") if isinstance(item, str) else [item])):
        match = None if isinstance(text, bool) else _CPUS.fullmatch(str(text).strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= LAST_CPU:
            raise ValueError(f"numbers of CPUs up to {LAST_CPU:,}, such as 2, 2-3 or 0-1,4")
        found.update(range(first, last + 1))
    if not found:
        raise ValueError("one CPU at least, such as 2, 2-3 or 0-1,4")
    return tuple(sorted(found))


def format_cpus(cpus: Sequence[int]) -> str:
    """Ascending numbers of CPUs as the kernel writes them: `0-3,8`. `parse_cpus` reads it back."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


Cpus = Annotated[
    tuple[int, ...],
    BeforeValidator(parse_cpus),
    PlainSerializer(format_cpus),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LAST_CPU},
                {"type": "string", "pattern": r"^[0-9][0-9, -]*$"},
                {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1},
            ],
            "examples": ["2-3"],
        }
    ),
]
"""Numbers of CPUs, ascending."""

Size = Annotated[
    int | tuple[int, int],
    PlainValidator(parse_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": LARGEST_SIDE},
                {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
"""Pixels: one number, or [height, width]."""

Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"^[0-9.eE+-]+\s*(ns|us|µs|ms|s|min|h)$"}, {"const": 0}],
            "examples": ["5 ms"],
        }
    ),
]
"""Nanoseconds, written with a unit."""

Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.eE+-]+\s*/\s*(s|min|h)$", "examples": ["20/s"]}),
]
"""Requests per second, written with a unit."""
