"""`harness trace`: a saved run for Perfetto."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options
from harness.commands.output import say
from harness.errors import UsageError
from harness.numbers import significant

if TYPE_CHECKING:
    from harness.records import RunRecords
    from harness.stats.timeline import Mask

MOST = 20_000
"""Requests of a trace that was not limited to a window: some 60 MB of JSON, which a browser still opens."""


@click.command("trace")
@click.argument("run", default="last")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("trace.json"),
              show_default=True, help="The file; compressed when its name ends in .gz.")  # fmt: skip
@click.option("--slowest", type=click.IntRange(0, 500), default=10, show_default=True,
              help="How many of the slowest requests get a line of their own.")  # fmt: skip
@click.option("--window", metavar="FROM..TO", help="Only what was in flight then, counted from the first due time.")
@options.out()
def command(run: str, output: Path, slowest: int, window: str | None, out: Path) -> None:
    """Write a saved run as a trace that ui.perfetto.dev opens. RUN: a folder, last, last~1, or a scenario's name.

    \b
    Example:
      harness trace last -o trace.json
      harness trace resnet18_cpu --window 2s..4s --slowest 3 -o trace.json.gz

    A track for each worker and each queue, queue depths, and the slowest requests cut into their components. Of a run
    with more than 20,000 requests it holds those around the slowest ones, unless --window says which.
    """
    import numpy as np

    from harness import store
    from harness.plan import resolve
    from harness.records import Phase
    from harness.report.exports import trace
    from harness.scenario import load
    from harness.stats import timeline

    saved = store.find(run, out)
    plan, records = resolve(load(saved.path / "resolved.yaml")), saved.records
    records = records.select(records.column("phase") != Phase.SATURATION)
    if not len(records):
        raise UsageError("the run has no requests to trace", where=str(saved.path))
    shown = None if window is None else _within(records, window)
    marked = timeline.slowest(records if shown is None else records.select(shown), slowest)
    if shown is not None:
        marked = np.flatnonzero(shown)[marked].tolist()
    if shown is None and len(records) > MOST:
        shown = timeline.around(records, marked or timeline.slowest(records, 1), MOST)
    found = trace.events(records, marked, shown)
    trace.write(output, found, {"run": saved.path.name, "scenario": plan.scenario.name, "requests": len(records)})
    count = len(records) if shown is None else int(shown.sum())
    of = f" of {len(records):,}" if count < len(records) else ""
    size = output.stat().st_size / 1e6
    say(f"{output}: {count:,}{of} requests, {len(found):,} events, {size:.1f} MB. Open it in ui.perfetto.dev.")


def _within(records: RunRecords, window: str) -> Mask:
    """The requests in flight in a window such as 2s..4s. Raises UsageError."""
    from harness.stats import timeline
    from harness.units import parse_duration

    match = re.fullmatch(r"(.+?)\.\.(.+)", window)
    try:
        begin, end = (parse_duration(text) for text in match.groups()) if match else (0, -1)
    except ValueError as error:
        raise UsageError(f"expected {error}", where=f"--window {window}") from None
    if end < begin:
        raise UsageError("expected two durations, the later one last", where=f"--window {window}", hint="2s..4s")
    origin = min(int(block.due.min()) for block in records.blocks(["due"]))
    shown = timeline.in_flight(records, origin + begin, origin + end)
    if not shown.any():
        last = (max(int(timeline.ended(block).max()) for block in records.blocks()) - origin) / 1e9
        raise UsageError(
            f"nothing was in flight then; the run lasted {significant(last)} s", where=f"--window {window}"
        )
    return shown
