"""Durations and rates as people write them; whole nanoseconds and requests per second inside."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_PER_SECOND = {"s": 1.0, "min": 1 / 60, "h": 1 / 3600}
_LONGEST_NS = 366 * 24 * 3600 * 10**9
SLOWEST_RPS, FASTEST_RPS = 1e-6, 1e9
_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
LARGEST_SIDE = 65_535
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
