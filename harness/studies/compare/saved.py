"""Two saved runs: may they be compared, and what is the difference?

Each run is cut into blocks of consecutive requests, long compared with the correlation of latencies, which are then
compared as always (`harness.stats.comparison`): in pairs when both runs had the same arrivals. Nothing was interleaved:
what changed on the machine between the runs is part of the difference, and no interval covers it, as a caveat says.
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
from harness.studies.run import room

MOST_BLOCKS = 20
BLOCK_INFLATIONS = 20
"""Requests in a block, in units of those that carry as much information as one independent request: then what reaches
from one block into the next hardly matters."""
SAME_RATE = 0.005
"""Relative difference up to which offered rates are the same: two saturated rates never agree to the last digit."""
_IRRELEVANT = (
    *("name", "description", "slo", "deadlines"),
    *(f"load.{key}" for key in ("requests", "duration", "warmup", "seed", "calibration", "utilisation")),
)
NOT_INTERLEAVED = (
    "The runs were made one after the other: what changed on the machine in between counts as a difference,"
    " and no interval covers it. Interleaved blocks avoid that: harness compare SCENARIO --a ... --b ..."
)


@dataclass(frozen=True)
class Difference:
    """Something that affects the figures and differs: its value in a and in b."""

    what: str
    a: str
    b: str


@dataclass(frozen=True)
class SavedComparison:
    """Run b compared with run a, what else differs between them, and what to keep in mind."""

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
    """Compare run b with run a. Raises UsageError when they differ in what affects the figures, unless `force`."""
    found = tuple(differences(a, b))
    if found and not force:
        listed = "\n".join(f"  {d.what}: {d.a} and {d.b}" for d in found)
        raise UsageError(
            f"these runs differ in what affects the figures:\n{listed}",
            where=f"{a.path} and {b.path}",
            hint="--force compares them nevertheless.",
        )
    records = a.records, b.records
    room.check(records, room.COMPARE_SIZES, "a comparison", f"{a.path} and {b.path}")
    first, second = (one.of_phase(Phase.MEASURED) for one in records)
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
    """What differs in the machine, the software and the scenario, and affects the figures."""
    one, other = _conditions(a), _conditions(b)
    for what in dict.fromkeys((*one, *other)):
        left, right = one.get(what), other.get(what)
        if what == "load.rate" and left and right and abs(left / right - 1.0) <= SAME_RATE:
            continue
        if left != right:
            yield Difference(what, _text(left), _text(right))


def _conditions(run: SavedRun) -> dict[str, Any]:
    """What has to be the same in both runs, by name."""
    summary = run.summary
    system = summary.system
    settled = scenario.load(run.path / "resolved.yaml")
    keys = settled.model_dump(mode="json", by_alias=True)
    flat = _flat({**keys, "stages": {stage["name"]: stage for stage in keys["stages"]}})
    relevant = {
        key: value for key, value in flat if not any(key == name or key.startswith(f"{name}.") for name in _IRRELEVANT)
    }
    rate = getattr(settled.load, "rate", None)
    libraries = {f"{name} (version)": version for name, version in system.libraries.items()}
    machine = {"cpu": system.cpu, "cores": system.cores, "python": system.python}
    return {**machine, **libraries, **relevant, "load.rate": rate or summary.offered_rps}


def _flat(tree: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _text(value: Any) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def block_count(a: RunRecords, b: RunRecords) -> int:
    """The number of blocks that both runs are cut into, from the correlation of their latencies."""
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
    for check in run.summary.checks:
        if check.level == "invalid":
            yield f"{run.path} is not valid: {check.name}: {check.message}"
