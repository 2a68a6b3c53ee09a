"""How figures are written, on every screen and page: few digits, thousands with commas, no exponents, no minus zero."""

from __future__ import annotations

import math

ABSENT = "-"


def significant(value: float, digits: int = 3) -> str:
    """So many significant digits, and all of a whole number: 0.0123, 12.3, 12,345. Zeros at the end are dropped."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of what it is rounded to
    text = f"{value:,.{max(digits - 1 - exponent, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(rps: float | None) -> str:
    """Requests per second, to three digits."""
    return ABSENT if rps is None else f"{significant(rps)}/s"


def ms(value: float | None) -> str:
    """Milliseconds, to three digits and to a microsecond at most."""
    if value is None:
        return ABSENT
    size = abs(value)
    if size < 0.0005:
        return "0"
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}" if size >= 0.995 else f"{value:.3f}"


def percent(share: float, digits: int = 3) -> str:
    """A share in percent: 12.3 %."""
    return f"{significant(share * 100, digits)} %"
