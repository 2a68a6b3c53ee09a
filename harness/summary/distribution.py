"""A distribution of times, and which of its quantiles are taken.

A quantile is declared by its field here and nowhere else: `p999: Number = quantile(0.999, "p99.9")`. Statistics,
screens, pages, documents, metrics and limits go through `QUANTILES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from pydantic.fields import FieldInfo

from harness.documents import Document, Number, key


def quantile(level: float, header: str = "", default: Any = ...) -> Any:
    """A field that holds a quantile.

    level: between 0 and 1. header: what people call it; by default its key. default: None for a quantile that version
    0.1.0 did not have, so that what it saved can still be read.
    """
    described = f"The quantile {level:g}, ms: an order statistic, a time that a request really had."
    return Field(default=default, description=described, json_schema_extra={"quantile": level, "header": header})


class Distribution(Document):
    """A distribution of times, all in ms. Null where there are no requests, or no steady state."""

    mean: Number = None
    """The mean, ms."""
    p50: Number = quantile(0.5)
    p90: Number = quantile(0.9)
    p95: Number = quantile(0.95)
    p99: Number = quantile(0.99)
    p999: Number = quantile(0.999, "p99.9")
    min: Number
    """The smallest, ms."""
    max: Number
    """The largest, ms."""

    def __getitem__(self, figure: str) -> float | None:
        """One of `FIGURES`, by its key. Raises KeyError."""
        if figure not in FIGURES:
            raise KeyError(figure)
        value: float | None = getattr(self, figure)
        return value


class Latency(Distribution):
    """A distribution with a confidence interval on its p99."""

    p99_interval: Annotated[tuple[Number, Number], key("p99_ci")] = (None, None)
    """The interval's two ends, ms; null where the requests are too few for one."""
    p99_interval_method: Annotated[str | None, key("p99_ci_method")] = None
    """How the interval was made, and its confidence."""


@dataclass(frozen=True)
class DeclaredQuantile:
    """A quantile of `Distribution`. key: of its field; level: between 0 and 1; header: what people call it."""

    key: str
    level: float
    header: str


def _declared(model: type[Distribution]) -> tuple[DeclaredQuantile, ...]:
    found = [(name, _extra(field)) for name, field in model.model_fields.items()]
    return tuple(
        DeclaredQuantile(name, extra["quantile"], extra["header"] or name)
        for name, extra in found
        if "quantile" in extra
    )


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


QUANTILES = _declared(Distribution)
"""The quantiles that are taken of every distribution, in ascending order."""
LEVELS = {found.key: found.level for found in QUANTILES}
FIGURES = ("mean", *LEVELS, "min", "max")
"""The keys of the figures of a distribution."""
HEADERS = {found.key: found.header for found in QUANTILES}
