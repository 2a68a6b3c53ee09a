"""A comparison as a mapping: what is saved, told as JSON, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.stats.comparison import Comparison, Effect
from harness.store import SavedRun
from harness.studies.compare.findings import read
from harness.studies.compare.gate import Judgement
from harness.studies.compare.saved import SavedComparison

SCHEMA_VERSION = 1


def of_comparisons(sides: Sequence[tuple[str, str]], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Comparisons of further sides with the first, and what they say. sides: name and label, which may be empty."""
    first, *others = sides
    pairs = [
        {"a": first[0], "b": other[0], **asdict(found), "effects": [_effect(e) for e in found.effects]}
        for other, found in zip(others, comparisons, strict=False)
    ]
    called = {name: f"{name} ({label})" if label else name for name, label in sides}
    return {
        "comparisons": pairs,
        "reading": [sentence for pair in pairs for sentence in read(pair, called[pair["a"]], called[pair["b"]])],
    }


def of_runs(a: SavedRun, b: SavedRun, found: SavedComparison) -> dict[str, Any]:
    """Two saved runs."""
    sides = [("a", a.path), ("b", b.path)]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "runs",
        "name": a.summary["name"],
        "status": "completed",
        "error": None,
        "sides": [{"name": name, "label": path.name, "run": str(path)} for name, path in sides],
        "differences": [asdict(difference) for difference in found.differences],
        "caveats": found.caveats,
        **of_comparisons([(name, "") for name, _ in sides], [found.comparison]),
    }


def of_judgements(name: str, judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """What came of the limits of a gate, held against side `name`."""
    return [{"side": name, **asdict(judgement), "failed": judgement.failed} for judgement in judgements]


def _effect(effect: Effect) -> dict[str, Any]:
    return {**asdict(effect), "ratio": effect.ratio, "difference": effect.difference}
