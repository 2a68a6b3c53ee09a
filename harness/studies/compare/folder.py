"""Saved comparisons: one folder each, `<root>/<scenario>/compare-<timestamp>-<id>/`, complete or not there.

comparison.json   the document, as `harness compare --json` prints it; every screen and page is made from it
failure.txt       the traceback and output of a side that failed
a/, b/, ...       for each side: records.parquet (all its blocks one after the other, see `blocks` in comparison.json),
                  scenario.yaml as given, resolved.yaml as run
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import records, scenario, store
from harness.errors import HarnessError
from harness.executors.base import Execution
from harness.executors.blocks import Blocks
from harness.scenario.model import Trace
from harness.studies.compare.document import COMPARISON, ComparisonDocument
from harness.studies.run.measure import resolved
from harness.studies.variants import Variant

FILE = "comparison.json"


def save(
    root: Path, document: ComparisonDocument, sides: Sequence[Variant], blocks: Blocks, error: HarnessError | None
) -> Path:
    """Write a comparison under `root`, as `store.new_folder` does."""
    name = sides[0].plan.scenario.name

    def fill(home: Path) -> None:
        (home / FILE).write_text(store.to_json(document.as_json()) + "\n", encoding="utf-8")
        if error is not None:
            why = f"{error.details or error}\n"
            (home / "failure.txt").write_text(why, encoding="utf-8", errors="backslashreplace")
        for side, execution in zip(sides, blocks.sides, strict=True):
            mine = home / side.name
            mine.mkdir()
            (mine / "scenario.yaml").write_text(side.given, encoding="utf-8")
            (mine / "resolved.yaml").write_text(_resolved(execution), encoding="utf-8")
            records.save(execution.records, mine / store.RECORDS, {"name": name, "started_at": execution.started_at})

    return store.new_folder(root / name, fill, what="the comparison", prefix="compare-")


def load(path: Path) -> ComparisonDocument:
    """The document of a saved comparison. Raises UsageError."""
    file = path / FILE if path.is_dir() else path
    document = COMPARISON.read(file)
    return document.model_copy(update={"saved": str(file.parent)})


def _resolved(execution: Execution) -> str:
    """A scenario that runs this side alone, with as many requests in all."""
    plan = execution.plan
    assert plan.measured is not None
    if isinstance(plan.load, Trace):  # begins anew in every block
        return resolved(plan, execution)
    whole = scenario.with_overrides(plan.scenario, [f"load.requests={plan.measured * plan.blocks}"])
    return resolved(replace(plan, scenario=whole), execution)
