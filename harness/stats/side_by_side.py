"""Runs side by side: their figures with the differences from the first, and what was set or was there differently.

Whether a difference is more than chance is not judged here: the runs were not made in turns. `comparison` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.stats.budget import STAGE_COMPONENTS
from harness.summary import LEVELS, Summary

Style = Literal["ms", "rate", "percent"]


@dataclass(frozen=True)
class Row:
    """One figure of each run. key: its path in the summary; changes: relative to the first run, None where unknown."""

    key: str
    style: Style
    values: tuple[float | None, ...]
    changes: tuple[float | None, ...]


@dataclass(frozen=True)
class Setting:
    """A key whose value differs; None where a run does not have it."""

    key: str
    values: tuple[str | None, ...]


def latencies(summaries: Sequence[Summary]) -> list[Row]:
    """Quantiles of e2e latency and response time, and the rates."""
    keys: list[tuple[str, Style]] = [(f"e2e_ms/{level}", "ms") for level in (*LEVELS, "max")]
    keys += [("response_ms/p99", "ms"), ("throughput_rps", "rate"), ("offered_rps", "rate")]
    plain = [summary.as_json() for summary in summaries]
    return [row for key, style in keys if (row := _row(plain, key, style)) is not None]


def stages(summaries: Sequence[Summary]) -> dict[str, list[Row]]:
    """Utilisation and components of every stage that all runs have, by stage."""
    common = [n for n in summaries[0].stages if all(n in s.stages for s in summaries)]
    plain = [summary.as_json() for summary in summaries]
    found = {}
    for name in common:
        base = f"stages/{name}"
        keys: list[tuple[str, Style]] = [(f"{base}/utilisation", "percent")]
        for part in reversed(STAGE_COMPONENTS):
            keys += [(f"{base}/{part}_ms/{level}", "ms") for level in ("p50", "p99")]
        rows = (_row(plain, key, style) for key, style in keys)
        found[name] = [row for row in rows if row is not None and any(row.values)]
    return found


def settings(scenarios: Sequence[Mapping[str, Any]]) -> list[Setting]:
    """The keys that are not the same in all scenarios, given as plain data."""
    return _different([_flat(s) for s in scenarios])


def machines(summaries: Sequence[Summary]) -> list[Setting]:
    """What of the machine and the software is not the same in all runs."""
    return _different([_flat({k: v for k, v in s.system.as_json().items() if k in _MACHINE}) for s in summaries])


_MACHINE = ("cpu", "cores", "python", "libraries", "git")


def _row(plain: Sequence[Mapping[str, Any]], key: str, style: Style) -> Row | None:
    values = tuple(_at(document, key) for document in plain)
    if all(value is None for value in values):
        return None
    base = values[0]
    return Row(key, style, values, tuple(v / base - 1 if v is not None and base else None for v in values))


def _at(document: Any, key: str) -> float | None:
    for part in key.split("/"):
        document = document.get(part)
    value: float | None = document
    return value


def _different(flat: Sequence[Mapping[str, str]]) -> list[Setting]:
    keys = dict.fromkeys(key for one in flat for key in one)
    every = (Setting(key, tuple(one.get(key) for one in flat)) for key in keys)
    # A key that an older version did not know is like one that is null.
    return [setting for setting in every if len({value or "" for value in setting.values}) > 1]


def _flat(value: Any, at: str = "") -> dict[str, str]:
    """Nested mappings and lists as key paths with texts; an entry of a list with a name goes by it."""
    if isinstance(value, Mapping):
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, list):
        items = [next(iter(_named(v)), (str(i), v)) for i, v in enumerate(value)]
    else:
        return {at: "" if value is None else str(value)}
    return {k: v for name, inner in items for k, v in _flat(inner, f"{at}.{name}" if at else name).items()}


def _named(entry: Any) -> list[tuple[str, Any]]:
    """{kind: {name: ..., ...}}, as stages stand in a scenario, by its name."""
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((kind, options),) = entry.items()
        return [(str(options.get("name") or kind) if isinstance(options, Mapping) else str(kind), options)]
    return []
