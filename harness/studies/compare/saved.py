"""Two saved runs against each other: may they be compared, and what is the difference?

Each run is cut into blocks of requests in a row, long against the correlation of latencies, which then count as in
any comparison (`harness.stats.comparison`). With the same arrivals in both, blocks are paired. Nothing was
interleaved: what changed on the machine between the runs is part of the difference and in no interval, which the
answer says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from harness import scenario
from harness.errors import UsageError
from harness.records import Outcome, Phase, RunRecords
from harness.stats.comparison import Comparison, compare_sides
from harness.stats.intervals import inflation
from harness.store import SavedRun

MOST_BLOCKS = 20
BLOCK_INFLATIONS = 20
"""A block holds so many times the requests that tell as much as one: its ends then hardly matter to its neighbours."""
SAME_RATE = 0.005
"""Offered rates this close are the same: two calibrations never agree to the last digit."""
_IRRELEVANT = (
    *("name", "description", "slo", "deadlines"),
    *(f"load.{key}" for key in ("requests", "duration", "warmup", "seed", "calibration", "utilisation")),
)
NOT_INTERLEAVED = (
    "The runs were made one after the other: what changed on the machine in between counts as a difference,"
    " and no interval holds it. Interleaved blocks do: harness compare SCENARIO --a ... --b ..."
)


@dataclass(frozen=True)
class Difference:
    """Something that matters and is not the same: the value in a and in b."""

    what: str
    a: str
    b: str


@dataclass(frozen=True)
class SavedComparison:
    """Run b against run a, how they differ besides, and what to keep in mind."""

    comparison: Comparison
    differences: tuple[Difference, ...]
    caveats: tuple[str, ...]


def compare_runs(
    a: SavedRun,
    b: SavedRun,
    *,
    force: bool = False,
    margin: float = 0.05,
    confidence: float = 0.95,
    metrics: Sequence[str] | None = None,
    alone: Collection[str] = (),
) -> SavedComparison:
    """Compare run b with run a. Raises UsageError when they differ in what matters, unless `force`."""
    found = tuple(differences(a, b))
    if found and not force:
        listed = "\n".join(f"  {d.what}: {d.a} and {d.b}" for d in found)
        raise UsageError(
            f"these runs differ in more than what was measured:\n{listed}",
            where=f"{a.path} and {b.path}",
            hint="--force compares them all the same.",
        )
    first, second = (run.records.of_phase(Phase.MEASURED) for run in (a, b))
    blocks = block_count(first, second)
    comparison = compare_sides(
        cut(first, blocks),
        cut(second, blocks),
        margin=margin,
        confidence=confidence,
        metrics=metrics,
        alone=alone,
        paired=_same_arrivals(first, second),
    )
    return SavedComparison(comparison, found, (NOT_INTERLEAVED, *_doubts(a), *_doubts(b)))


def differences(a: SavedRun, b: SavedRun) -> Iterator[Difference]:
    """What is not the same in the machine, the software and the scenario, and matters to the figures."""
    one, other = _conditions(a), _conditions(b)
    for what in dict.fromkeys((*one, *other)):
        left, right = one.get(what), other.get(what)
        if what == "load.rate" and left and right and abs(left / right - 1.0) <= SAME_RATE:
            continue
        if left != right:
            yield Difference(what, _text(left), _text(right))


def _conditions(run: SavedRun) -> dict[str, Any]:
    """By name, all that a run has to share with another one."""
    summary = run.summary
    system = summary["system"]
    settled = scenario.load(run.path / "resolved.yaml")
    keys = settled.model_dump(mode="json", by_alias=True)
    flat = _flat({**keys, "stages": {stage["name"]: stage for stage in keys["stages"]}})
    relevant = {
        key: value for key, value in flat if not any(key == name or key.startswith(f"{name}.") for name in _IRRELEVANT)
    }
    rate = getattr(settled.load, "rate", None)
    libraries = {f"{name} (version)": version for name, version in (system.get("libraries") or {}).items()}
    machine = {key: system.get(key) for key in ("cpu", "cores", "python")}
    return {**machine, **libraries, **relevant, "load.rate": rate or summary["offered_rps"]}


def _flat(tree: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _text(value: Any) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def block_count(a: RunRecords, b: RunRecords) -> int:
    """Into how many blocks both runs are cut, from how far their latencies depend on one another."""
    counts = []
    for records in (a, b):
        done = records.with_outcome(Outcome.COMPLETED)
        in_a_row = inflation(done.completed - done.due, 0.5)
        counts.append(int(len(done) / (BLOCK_INFLATIONS * in_a_row)))
    return min(MOST_BLOCKS, max(1, min(counts)))


def cut(records: RunRecords, blocks: int) -> list[RunRecords]:
    """Blocks of requests in a row, of equal size but for one request."""
    edges = np.linspace(0, len(records), blocks + 1).astype(int)
    return [records.select(slice(start, end)) for start, end in pairwise(edges)]


def _same_arrivals(a: RunRecords, b: RunRecords) -> bool:
    return len(a) == len(b) > 0 and np.array_equal(a.due - a.due[0], b.due - b.due[0])


def _doubts(run: SavedRun) -> Iterator[str]:
    summary = run.summary
    for check in summary["checks"]:
        if check["level"] == "invalid":
            yield f"{run.path} is not valid: {check['name']}: {check['message']}"
