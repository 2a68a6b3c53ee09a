"""Where the time of a band of a saved run's requests went: `harness show RUN --band p90..p99`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.stats.attribution import attribute_blocks, parse_band
from harness.stats.budget import splits
from harness.stats.passes import Latencies
from harness.store import SavedRun


def of_run(run: SavedRun, text: str) -> dict[str, Any]:
    """The attribution of a band of a run's completed requests; None in place of its figures where there are none.

    text: as `harness.stats.attribution.parse_band` has it. Raises UsageError.
    """
    edges = parse_band(text)
    records = run.records
    latencies = Latencies.of(records)
    found = attribute_blocks(
        lambda: (split for _, _, split in splits(records)), len(latencies), latencies.ranked, *edges
    )
    return {
        "kind": "band",
        "run": str(run.path),
        "band": text,
        "completed": len(latencies),
        "attribution": None if found is None else asdict(found),
    }
