"""What `--metrics-port` costs: the null scenario scraped by a Prometheus, and not, in interleaved runs.

python -m benchmarks.scraping            about 5 minutes; exit code 3 when scraping makes p50, p99 or the mean slower

The order is ABBA, the arrivals of each pair are the same, and the verdicts are those of `harness compare`. The client
is a Prometheus server where one is on PATH (Debian's package `prometheus`): it runs all the time, finds the endpoint
only in every second run, and what it stored has to be what ran. Elsewhere it is a process with prometheus_client's
own parser.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import NOT_MET, OK, RUN_FAILED
from harness.executors.session import execute
from harness.plan import Plan, resolve
from harness.records import RunRecords
from harness.report.exports.prometheus import HOST, endpoint
from harness.scenario import load
from harness.stats.comparison import compare_sides

SCENARIO = Path(__file__).parent.parent / "scenarios" / "null.yaml"
METRICS = ("e2e.p50", "e2e.p99", "e2e.mean")
MARGIN = 0.1
READY_S, WRITTEN_S = 30, 3
PARSER = """
import sys, time, urllib.request
from prometheus_client.parser import text_string_to_metric_families
while True:
    try:
        with urllib.request.urlopen(sys.argv[1]) as answer:
            list(text_string_to_metric_families(answer.read().decode()))
    except OSError:
        pass
    time.sleep(float(sys.argv[2]))
"""
CONFIGURATION = """\
global: {{scrape_interval: {every}, scrape_timeout: {every}}}
scrape_configs: [{{job_name: harness, static_configs: [{{targets: ["{target}"]}}]}}]
"""
Stored = Callable[[], "float | None"]
"""Completed requests of the last run that the client stored; None where it stores nothing."""


def quiet(plan: Plan) -> RunRecords:
    """A run that nobody watches."""
    execution = execute(plan)
    assert execution.status == "completed", execution.error
    return execution.records


def scraped(plan: Plan, port: int) -> RunRecords:
    """A run with an endpoint, which stays until the client has the final figures."""
    with endpoint(plan, port) as metrics:
        execution = execute(plan, metrics.tee(lambda progress: None))
        metrics.finish(execution.records)
    assert execution.status == "completed", execution.error
    return execution.records


@contextlib.contextmanager
def prometheus(binary: str, port: int, every_s: float) -> Iterator[Stored]:
    """A Prometheus server that scrapes the port."""
    own = free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "prometheus.yml")
        configuration.write_text(CONFIGURATION.format(every=f"{every_s * 1e3:.0f}ms", target=f"{HOST}:{port}"))
        command = [binary, f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address={HOST}:{own}", "--log.level=error"]
        with running(command):
            until = time.monotonic() + READY_S
            while not answers(f"http://{HOST}:{own}/-/ready"):
                if time.monotonic() > until:
                    raise TimeoutError(f"{binary} is not ready after {READY_S} s")
                time.sleep(0.1)
            expression = urllib.parse.quote('last_over_time(harness_requests_total{outcome="completed"}[1m])')
            yield lambda: value_of(f"http://{HOST}:{own}/api/v1/query?query={expression}")


@contextlib.contextmanager
def parser(port: int, every_s: float) -> Iterator[Stored]:
    """A client that parses what it gets and forgets it."""
    with running([sys.executable, "-c", PARSER, f"http://{HOST}:{port}/metrics", str(every_s)]):
        yield lambda: None


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[None]:
    """A process that is there while the context lasts."""
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port of the loopback address that nobody has now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether somebody is there and well."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def value_of(url: str) -> float | None:
    """The value of the only series that a query finds."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        found = json.load(answer)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def becomes(stored: Stored, count: int) -> bool:
    """Whether a server has stored a count, or does so within a moment: it answers queries while it still writes."""
    until = time.monotonic() + WRITTEN_S
    while stored() != count and time.monotonic() < until:
        time.sleep(0.1)
    return stored() == count


def main() -> int:
    """Return the exit code."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    asked.add_argument("--pairs", type=int, default=16)
    asked.add_argument("--requests", type=int, default=3500)
    asked.add_argument("--every", type=float, default=1.0, help="seconds between two scrapes")
    told = asked.parse_args()
    without: list[RunRecords] = []
    under: list[RunRecords] = []
    port, binary = free_port(), shutil.which("prometheus")
    with prometheus(binary, port, told.every) if binary else parser(port, told.every) as stored:
        for pair in range(told.pairs):
            plan = resolve(load(SCENARIO, [f"load.requests={told.requests}", f"load.seed={pair + 1}"]))
            for scrape in (False, True) if pair % 2 == 0 else (True, False):
                if not scrape:
                    without.append(quiet(plan))
                    continue
                under.append(scraped(plan, port))
                if binary and not becomes(stored, told.requests):
                    print(f"of {told.requests:,} completed requests the server stored {stored()}", file=sys.stderr)
                    return RUN_FAILED
            print(f"pair {pair + 1} of {told.pairs}", file=sys.stderr)
    found = compare_sides(without, under, metrics=METRICS, margin=MARGIN)
    client = "a Prometheus server, which stored every count" if binary else "prometheus_client's parser"
    print(f"null scenario, {told.pairs} pairs of {told.requests:,} requests, a scrape every {told.every:g} s")
    print(f"by {client}")
    print(f"{'':10} {'without':>10} {'scraped':>10} {'ratio':>7}  95 % interval, all metrics at once")
    for effect in found.effects:
        interval = "-" if effect.ratio_interval is None else "{:.3f} .. {:.3f}".format(*effect.ratio_interval)
        figures = f"{effect.a or 0:10.4f} {effect.b or 0:10.4f} {effect.ratio or 0:7.3f}"
        print(f"{effect.metric:10} {figures}  {interval:18} {effect.verdict} {effect.reason}".rstrip())
    return NOT_MET if any(effect.verdict == "slower" for effect in found.effects) else OK


if __name__ == "__main__":
    sys.exit(main())
