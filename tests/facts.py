"""What a run would have known besides its records, for records that are made by hand or by the twin.

And summaries with something changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from harness.plan import Plan
from harness.store import to_json
from harness.summary import SUMMARY, RunFacts, Summary


def facts(plan: Plan, *, load: dict[str, Any] | None = None, **given: Any) -> RunFacts:
    """Of a run that completed, on a machine of which nothing is known. load, given: what differs, as in JSON."""
    loaded = {
        "arrivals": plan.load.arrivals,
        "nominal_rps": getattr(plan.load, "rate", None),
        "calibrated_capacity_rps": None,
        "concurrency": getattr(plan.load, "concurrency", None),
        **(load or {}),
    }
    known = {
        "schema_version": SUMMARY.version,
        "name": plan.scenario.name,
        "executor": plan.scenario.executor,
        "started_at": "2026-01-01T00:00:00+00:00",
        "status": "completed",
        "load": loaded,
        "memory": {"peak_rss_mb": {}},
        "system": {"during_run": {}},
        **{key: {} for key in ("startup_s", "effective", "cpu_wait_s")},
    }
    return RunFacts.model_validate({**known, **given})


def changed(summary: Summary, change: Callable[[dict[str, Any]], object]) -> Summary:
    """The same summary, with its document changed in place by `change`."""
    document = json.loads(to_json(summary))
    change(document)
    return SUMMARY.parse(document, "summary.json")
