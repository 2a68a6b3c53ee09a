"""How long a report of a large run takes, and how large it is: a run of the compiled twin, saved like any other.

python -m benchmarks.report_size                       (1 million requests; about a minute)
python -m benchmarks.report_size --requests 100000 --check
--check ends with 1 where it takes more than 20 s or 10 MB; --keep leaves the run and its report in a folder;
--browser opens it in headless Chromium (needs '.[browser]') and times what a reader waits for.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from harness import store
from harness.plan import Plan, resolve
from harness.records import RunRecords
from harness.report.html.files import write_report
from harness.scenario import dump
from harness.scenario.model import Scenario
from harness.stats.summary import summarise_run
from harness.store import SavedRun
from harness.summary import SUMMARY, HostActivity, LoadFacts, Memory, RunFacts, System
from harness.twin import Demand, compiled
from harness.twin.pipeline import of_plan

MOST_S, MOST_MB = 20.0, 10.0
RATE_RPS = 50.0
PRESS = """(keys) => { const chart = document.querySelector('#latency > svg'); return keys.map((key) => {
    const begun = performance.now(); chart.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    chart.getBoundingClientRect(); return performance.now() - begun; }); }"""
"""Milliseconds that each key takes at the chart of latencies, layout included."""
SERVICE_MS = {"decode": 8.0, "inference": 15.0, "postprocess": 2.0}
SCENARIO: dict[str, Any] = {
    "name": "a_million",
    "executor": "process",
    "load": {"arrivals": "poisson", "rate": f"{RATE_RPS:g}/s", "warmup": 100, "seed": 1},
    "stages": [
        {"kind": "delay", "name": name, "mean": f"{mean:g} ms", "capacity": 64} for name, mean in SERVICE_MS.items()
    ],
}


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--browser", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        saved = simulated(asked.requests, asked.keep or Path(folder))
        begun = time.perf_counter()
        path = write_report([saved])
        seconds, megabytes = time.perf_counter() - begun, path.stat().st_size / 1e6
        print(f"{asked.requests:,} requests: a report of {megabytes:.1f} MB in {seconds:.1f} s")
        if asked.keep:
            print(path)
        if asked.browser:
            opened(path)
        return int(asked.check and (seconds > MOST_S or megabytes > MOST_MB))


def opened(path: Path) -> None:
    """Print how long a reader waits: for the page, for all charts over time to zoom, for the cursor."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        begun = time.perf_counter()
        page.goto(path.as_uri())
        seconds = time.perf_counter() - begun
        zooms, moves = (page.evaluate(PRESS, keys) for keys in (["+", "+", "-", "0"] * 5, ["ArrowRight"] * 20))
        waits = f"zooms in {max(zooms):.0f} ms at most, the cursor moves in {max(moves):.0f} ms"
        print(f"opens in {seconds:.1f} s; {waits}")
        browser.close()


def simulated(requests: int, out: Path) -> SavedRun:
    """A run of three stages with exponential service at 0.75 of what the slowest carries, saved under `out`."""
    load = {**SCENARIO["load"], "requests": requests}
    plan = resolve(Scenario.model_validate({**SCENARIO, "load": load}))
    records = run_twin(plan)
    summary = summarise_run(plan, records, facts(plan, requests, RATE_RPS))
    files = {"resolved.yaml": dump(plan.scenario), "environment.json": json.dumps({"cpu_over_time": steal(records)})}
    return store.save(out, plan.scenario.name, summary, records, files)


def run_twin(plan: Plan) -> RunRecords:
    """The records of a Plan's own arrivals, with exponential service times."""
    rng = np.random.default_rng(1)
    due = plan.due_times(RATE_RPS) + 1_000_000_000
    service = tuple(rng.exponential(mean * 1e6, (len(due), 1)).astype(np.int64) + 1 for mean in SERVICE_MS.values())
    return compiled.simulate(of_plan(plan), Demand(service, due, warmup=plan.load.warmup))


def facts(plan: Plan, requests: int, rate_rps: float) -> RunFacts:
    """What a summary holds besides its records; nothing ran here."""
    return RunFacts(
        schema_version=SUMMARY.version,
        name=plan.scenario.name,
        executor=plan.scenario.executor,
        started_at="2026-01-01T00:00:00+00:00",
        status="completed",
        scheduled=requests,
        load=LoadFacts(arrivals="poisson", nominal_rps=rate_rps, calibrated_capacity_rps=None, concurrency=None),
        startup_s={},
        effective={},
        memory=Memory(peak_rss_mb={}),
        cpu_wait_s={},
        system=System(cpu="the twin", during_run=HostActivity()),
    )


def steal(records: RunRecords) -> dict[str, list[float]]:
    """A reading every half second, as long as the run."""
    at = np.arange(int(records.due[0]), int(records.due[-1]), 500_000_000)
    share = np.random.default_rng(2).beta(1, 30, len(at)).round(4)
    return {"at_ns": at.tolist(), "user": (0.6 - share).tolist(), "steal": share.tolist()}


if __name__ == "__main__":
    sys.exit(main())
