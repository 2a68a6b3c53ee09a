"""`--metrics-port`: what a Prometheus scrapes while a run lasts is what the run's summary says at its end."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from harness.errors import UsageError
from harness.executors.progress import Progress
from harness.executors.session import execute
from harness.plan import Plan
from harness.records import Ints, Outcome, Phase, RunRecords
from harness.report.exports.prometheus import EDGES_NS, Metrics, endpoint
from harness.stats.budget import budget
from harness.stats.summary import summarise_run
from harness.summary import SUMMARY
from tests.command import harness
from tests.facts import facts
from tests.pipelines import plan
from tests.properties import some

HARNESS = [sys.executable, "-m", "harness"]
SCENARIO = """\
name: scraped
load: {arrivals: constant, rate: 200/s, requests: 400, warmup: 20}
on_full: shed
stages:
  - delay: {mean: 4 ms, distribution: exponential, capacity: 2}
  - "null": {batch: {max: 2}}
"""
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def scrape(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return parse(answer.read().decode())


def outcomes(samples: Samples) -> dict[str, float]:
    return {labels[0][1]: value for (name, labels), value in samples.items() if name == "harness_requests_total"}


# A real run, a real client


@pytest.fixture(scope="module", params=some(["process", "asyncio"], few=1))
def run_and_scrapes(request, tmp_path_factory):
    """The summary of a run and what a client got that came every 50 ms until nobody answered."""
    folder = tmp_path_factory.mktemp("scraped")
    (folder / "scraped.yaml").write_text(SCENARIO)
    command = [
        *HARNESS,
        "run",
        "scraped.yaml",
        "--metrics-port",
        "0",
        "--set",
        f"executor={request.param}",
        "--json",
        "-",
    ]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = re.fullmatch(r"metrics on (http://127\.0\.0\.1:\d+/metrics)\n", child.stderr.readline())[1]
        scrapes = []
        while child.poll() is None:
            try:
                scrapes.append(scrape(url))
            except (urllib.error.URLError, ConnectionError):
                break
            time.sleep(0.05)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, err
    return SUMMARY.parse(json.loads(out), "standard output"), scrapes


def test_the_last_scrape_is_the_summary(run_and_scrapes):
    summary, scrapes = run_and_scrapes
    last, counts = scrapes[-1], summary.requests
    assert last["harness_requests_issued_total", ()] == counts.issued == 400
    assert outcomes(last) == {key: getattr(counts, key) for key in ("completed", "failed", "dropped")}
    assert last["harness_e2e_latency_seconds_count", ()] == counts.completed
    mean_s = last["harness_e2e_latency_seconds_sum", ()] / counts.completed
    assert mean_s == pytest.approx(summary.e2e.mean / 1e3, rel=1e-6)
    for stage, figures in summary.stages.items():
        for component in ("service", "queue_wait", "batch_wait", "blocked"):
            labels = (("component", component), ("stage", stage))
            mean_s = last["harness_stage_seconds_sum", labels] / last["harness_stage_seconds_count", labels]
            assert mean_s == pytest.approx(getattr(figures, component).mean / 1e3, rel=1e-6)
        assert last["harness_queue_capacity", (("stage", stage),)] == figures.capacity
    assert last["harness_phase", (("phase", "ended"),)] == 1


def test_while_it_lasts_nothing_goes_back(run_and_scrapes):
    _, scrapes = run_and_scrapes
    rising = [key for key in scrapes[-1] if key[0].endswith(("_total", "_count", "_sum", "_bucket"))]
    for earlier, later in pairwise(scrapes):
        assert all(earlier[key] <= later[key] + 1e-9 for key in rising)
        assert sum(outcomes(later).values()) <= later["harness_requests_issued_total", ()]
    halfway = [s for s in scrapes if 0 < sum(outcomes(s).values()) < 400]
    assert halfway, "the run was seen under way"


def test_buckets_are_cumulative_and_end_with_all(run_and_scrapes):
    _, scrapes = run_and_scrapes
    last = scrapes[-1]
    buckets = {labels[0][1]: v for (name, labels), v in last.items() if name == "harness_e2e_latency_seconds_bucket"}
    values = [buckets[key] for key in sorted(buckets, key=float)]
    assert len(values) == len(EDGES_NS) + 1
    assert values == sorted(values)
    assert values[-1] == last["harness_e2e_latency_seconds_count", ()]


# What is counted, and when


def of_a_producer_that_is_often_blocked(p: Plan, rng: np.random.Generator) -> Ints:
    """Rows of a run at its end: some of the warm-up, failed and dropped ones, too, and every wait of any length."""
    columns, count = p.layout.columns, p.max_rows
    rows = np.zeros((count, p.layout.width), np.int64)
    rows[:, columns["outcome"]] = rng.choice([Outcome.COMPLETED, Outcome.FAILED, Outcome.DROPPED], count)
    rows[: p.load.warmup, columns["phase"]] = Phase.WARMUP
    rows[:, columns["due"]] = 1 + np.cumsum(rng.integers(1, 10**8, count))
    free = 0
    for row in rows:
        start = free = max(free, row[columns["due"]]) + rng.integers(0, 10**6)
        row[columns["s0.offered"]] = start
        if row[columns["outcome"]] != Outcome.DROPPED:
            for name in ("s0.accepted", "s0.taken", "s0.started", "s0.done", "s1.offered", "s1.accepted", "s1.taken",
                         "s1.started", "s1.done"):  # fmt: skip
                start += rng.integers(0, 10**9)
                row[columns[name]] = start
            free = row[columns["s0.accepted"]]
    return rows


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_request_is_counted_once_whatever_the_order_of_their_ends(data):
    """They are issued in order and end in any, some lack stamps for a while, and scrapes come at any time."""
    p = plan({"null": {}}, {"null": {}}, load={"arrivals": "poisson", "rate": "10/s", "requests": 12, "warmup": 2})
    columns, rng = p.layout.columns, np.random.default_rng(data.draw(st.integers(0, 2**32)))
    final = of_a_producer_that_is_often_blocked(p, rng)
    live, metrics = np.zeros_like(final), Metrics(p)
    observe = metrics.tee(lambda progress: None)
    when_issued = [columns[name] for name in ("due", "phase", "s0.offered", "s0.accepted")]
    late, issued = rng.random(14) < 0.3, 0
    for row in rng.permutation(14):
        issued = max(issued, int(row) + 1, data.draw(st.integers(0, 14)))
        live[:issued, when_issued] = final[:issued, when_issued]
        live[row] = final[row]
        if late[row]:
            live[row, columns["s0.done"]] = 0
        if data.draw(st.booleans()):
            observe(Progress("running", p, live[:issued], 0, issued, 14, 0, [0, 0], 1.0))
            list(metrics.collect())
    live[:] = final
    observe(Progress("running", p, live, 0, 14, 14, 14, [0, 0], 1.0))
    seen = {family.name: family for family in metrics.collect()}
    measured = RunRecords(p.layout, final[2:], {})
    done = measured.with_outcome(Outcome.COMPLETED)
    counted = {s.labels["outcome"]: s.value for s in seen["harness_requests"].samples}
    assert counted == {
        "completed": len(done),
        "failed": (measured.outcome == Outcome.FAILED).sum(),
        "dropped": (measured.outcome == Outcome.DROPPED).sum(),
    }
    e2e = {s.labels.get("le"): s.value for s in seen["harness_e2e_latency_seconds"].samples if "le" in s.labels}
    latency = done.completed - done.due
    assert list(e2e.values()) == [*((latency <= edge).sum() for edge in EDGES_NS), len(done)]
    split = budget(RunRecords(p.layout, final, {}))
    sums = {
        (s.labels["stage"], s.labels["component"]): s.value
        for s in seen["harness_stage_seconds"].samples if s.name.endswith("_sum")
    }  # fmt: skip
    for (stage, component), total in sums.items():
        assert total == pytest.approx(split.components[f"{stage}.{component}"].sum() / 1e9)


@pytest.mark.parametrize("executor", ["process", "asyncio"])
def test_blocked_is_the_summary_s_where_a_backlog_waits_for_the_first_stage(executor):
    """Every request waits for those in front of it, warm-up included: twice what the stage carries is offered."""
    stage = {"delay": {"mean": "10 ms", "distribution": "constant", "capacity": 1}}
    load = {"arrivals": "constant", "rate": "200/s", "requests": 40, "warmup": 10}
    p = plan(stage, load=load, executor=executor)
    metrics, sums = Metrics(p), []

    def scrape_now(progress: Progress) -> None:
        sums.append(blocked_s(metrics))

    execution = execute(p, metrics.tee(scrape_now), observe_every_s=0.02)
    sums.append(blocked_s(metrics))
    metrics.finish(execution.records)
    final, summary = blocked_s(metrics), summarise_run(p, execution.records, facts(p))
    assert final == pytest.approx(summary.stages["s0"].blocked.mean * 40 / 1e3, rel=1e-6)
    assert final > 4, "they waited for some 0.15 s each"
    assert sums == sorted(sums)
    assert len(set(sums)) > 3, "seen under way"


def blocked_s(metrics: Metrics) -> float:
    family = next(f for f in metrics.collect() if f.name == "harness_stage_seconds")
    return sum(s.value for s in family.samples if s.labels["component"] == "blocked" and s.name.endswith("_sum"))


def test_the_warm_up_and_the_calibration_are_not_counted():
    p = plan({"null": {}}, load={"arrivals": "poisson", "utilisation": 0.3, "calibration": "200 ms", "requests": 30,
             "warmup": 10}, executor="asyncio")  # fmt: skip
    metrics = Metrics(p)
    execution = execute(p, metrics.tee(lambda progress: None), observe_every_s=0.01)
    list(metrics.collect())
    metrics.finish(execution.records)
    issued = next(f for f in metrics.collect() if f.name == "harness_requests_issued")
    assert [s.value for s in issued.samples] == [30]


# The port


def tiny():
    return plan({"null": {}}, load={"arrivals": "closed", "requests": 5}, executor="asyncio")


def test_a_port_that_is_taken_is_an_error_before_the_run():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match="cannot serve metrics there: Address already in use") as caught:
            endpoint(tiny(), port).__enter__()
    assert caught.value.where == f"--metrics-port {port}"


def test_a_taken_port_ends_the_command_before_anything_is_saved(tmp_path):
    (tmp_path / "scraped.yaml").write_text(SCENARIO)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = harness("run", "scraped.yaml", "--metrics-port", port, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --metrics-port {port}: cannot serve metrics there")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_bad_port_is_bad_usage(port):
    done = harness("run", "smoke", "--metrics-port", port)
    assert done.returncode == 2
    assert "--metrics-port" in done.stderr


def test_only_this_machine_is_served_and_the_port_is_free_afterwards():
    with endpoint(tiny(), 0) as metrics:
        port = int(re.search(r":(\d+)/", metrics.url)[1])
        assert metrics.url.startswith("http://127.0.0.1:")
        assert scrape(metrics.url)["harness_requests_issued_total", ()] == 0
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_without_a_client_nobody_waits():
    begun = time.monotonic()
    with endpoint(tiny(), 0) as metrics:
        metrics.finish(execute(tiny()).records)
        ended = time.monotonic()
    assert time.monotonic() - ended < 2
    assert ended > begun


def test_a_client_that_says_nothing_does_not_stop_the_others(monkeypatch):
    monkeypatch.setattr("harness.report.exports.prometheus._Handler.timeout", 0.2)
    with endpoint(tiny(), 0) as metrics:
        port = int(re.search(r":(\d+)/", metrics.url)[1])
        with socket.create_connection(("127.0.0.1", port)):
            assert scrape(metrics.url)["harness_phase", (("phase", "starting"),)] == 1


@pytest.mark.parametrize("says", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nX: "])
def test_a_client_that_dawdles_does_not_hold_the_exit(says):
    """A byte now and then is within every limit on silence."""
    ended = threading.Event()
    clients = []

    def dawdle(port: int) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
            clients.append(client)
            client.sendall(says)
            while not ended.wait(0.05):
                client.sendall(b"x")

    with endpoint(tiny(), 0) as metrics:
        port = int(re.search(r":(\d+)/", metrics.url)[1])
        others = [threading.Thread(target=dawdle, args=(port,)) for _ in range(3)]
        for other in others:
            other.start()
        while len(clients) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        begun = time.monotonic()
    took_s = time.monotonic() - begun
    ended.set()
    for other in others:
        other.join()
    assert took_s < 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("metrics")]
