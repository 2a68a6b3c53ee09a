"""Where the time of a band of a saved run's requests went: `harness show RUN --band p90..p99`."""

from __future__ import annotations

from typing import Literal

from harness.documents import Document
from harness.stats.attribution import Attribution, attribute_blocks, parse_band
from harness.stats.budget import splits
from harness.stats.passes import Latencies
from harness.store import SavedRun


class BandResult(Document):
    """Where the time of some requests of a run went."""

    kind: Literal["band"]
    """The kind of document."""
    run: str
    """The run's folder."""
    band: str
    """The band of e2e latency, as given."""
    completed: int
    """Completed requests of the run."""
    attribution: Attribution | None
    """Where the time of those in the band went; None where there are none."""


def of_run(run: SavedRun, text: str) -> BandResult:
    """The attribution of a band of a run's completed requests.

    text: as `harness.stats.attribution.parse_band` has it. Raises UsageError.
    """
    edges = parse_band(text)
    records = run.records
    latencies = Latencies.of(records)
    found = attribute_blocks(
        lambda: (split for _, _, split in splits(records)), len(latencies), latencies.ranked, *edges
    )
    return BandResult(kind="band", run=str(run.path), band=text, completed=len(latencies), attribution=found)
