"""A small run that is saved, and the least that a summary holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import store, summary
from harness.records import Layout, RunRecords
from tests.facts import changed

RAW = RunRecords(Layout.tandem(["s0"]), np.arange(13 * 4, dtype=np.int64).reshape(4, 13), {2: "cut off"})
NOTHING = dict.fromkeys(("p50", "p90", "p95", "p99", "p999", "min", "max"))
DOCUMENT = {
    "schema_version": 1, "name": "x", "started_at": "2026-01-01T00:00:00+00:00", "executor": "asyncio",
    "status": "completed", "validity": "ok", "bottleneck": "s0", "checks": [], "slo": [], "reading": [],
    "failures": {}, "model": {}, "startup_s": {}, "effective": {}, "cpu_wait_s": {}, "stages": {},
    "throughput_rps": None, "offered_rps": None, "steady_state": None,
    "requests": dict.fromkeys(("issued", "completed", "failed", "dropped", "warmup"), 0),
    "e2e_ms": {**NOTHING, "p99_ci": [None, None]}, "response_ms": {**NOTHING, "p99_ci": [None, None]},
    "producer_lateness_ms": NOTHING, "residual_ms": NOTHING, "tail": {"shares": {}, "median_shares": {}},
    "load": {"arrivals": "closed", "concurrency": 1, "calibrated_capacity_rps": None},
    "memory": {"peak_rss_mb": {}}, "system": {"during_run": {}},
}  # fmt: skip
SUMMARY = summary.SUMMARY.parse(DOCUMENT, "")
TEXTS = {"scenario.yaml": "name: x\n", "environment.json": "{}\n"}


def save(root: Path, name: str = "x", **keys) -> store.SavedRun:
    return store.save(root, name, changed(SUMMARY, lambda document: document.update(keys)), RAW, TEXTS)
