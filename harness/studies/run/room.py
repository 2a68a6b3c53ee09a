"""Room in memory for what takes all requests of a saved run at once: the series of a report, and comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import UsageError
from harness.host.memory import usable_bytes
from harness.records import RunRecords

REPORT_SIZES = 2.0
"""Memory that a report's series take, as a multiple of the rows (8 bytes a column). Measured: 1.6."""
COMPARE_SIZES = 0.8
"""The same for a comparison, of the rows of both runs. Measured: 0.4."""
HINT = "Of a run of any length `harness show` has the figures, and `harness trace --window` some of the requests."


def check(records: Sequence[RunRecords], sizes: float, what: str, where: str) -> None:
    """Raise UsageError, with both figures, where `what` would take more memory than may be used.

    sizes: memory as a multiple of all rows. where: the runs' folders.
    """
    needed = int(sum(sizes * len(one) * one.layout.width * 8 for one in records))
    usable = usable_bytes()
    if needed > usable:
        raise UsageError(
            f"{what} of so many requests takes {needed / 1e9:.1f} GB of memory, and {usable / 1e9:.1f} GB may be used",
            where=where,
            hint=HINT,
        )
