"""Single figures of a summary as they stand in the page, each with the key that it comes from and its full value."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from harness.numbers import ms, rate
from harness.report.figures import clusters, first_line, header, placement
from harness.summary import Summary

NAMES = {"producer": "producer lateness", "residual": "between stamps"}


def percent(share: float | None) -> str:
    """A share in whole percent."""
    return "-" if share is None else f"{share:.0%}"


def change(share: float | None) -> str:
    """A relative difference."""
    return "-" if share is None else f"{share:+.1%}"


def count(number: int | None) -> str:
    """A number of requests."""
    return "-" if number is None else f"{number:,}"


STYLES = {"ms": ms, "rate": rate, "percent": percent, "count": count}


class Figures:
    """The figures of one summary: `figures("e2e_ms/p99")` is a span with its text, key and value. run: its number."""

    def __init__(self, summary: Summary, run: int = 0) -> None:
        self._plain = summary.as_json()
        self._run = run

    def __call__(self, key: str, style: str = "ms") -> Markup:
        """The figure under a key such as stages/inference/service_ms/p99."""
        value: Any = self._plain
        for part in key.split("/"):
            value = value[int(part)] if isinstance(value, list | tuple) else value.get(part)
        text = STYLES[style](value)
        exact = "" if value is None else f"{value:.9g}"
        return Markup('<data data-run="{}" data-key="{}" data-style="{}" value="{}" title="{}">{}</data>').format(
            self._run, key, style, exact, exact, text
        )


def component(key: str) -> str:
    """`inference.queue_wait` as people say it."""
    return NAMES.get(key) or key.replace(".", " ").replace("_", " ")


def kind(key: str) -> str:
    """What a component is, whatever its stage: service, queue_wait, batch_wait, blocked, producer or residual."""
    return key.rpartition(".")[2]


def when(started_at: str) -> str:
    """A time of day as people write it."""
    return started_at.replace("T", " ")[:16]


FILTERS = {
    "ms": ms,
    "rate": rate,
    "percent": percent,
    "change": change,
    "count": count,
    "clusters": clusters,
    "component": component,
    "kind": kind,
    "when": when,
    "first_line": first_line,
    "header": header,
    "placement": placement,
}
