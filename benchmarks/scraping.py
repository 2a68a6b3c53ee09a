"""What `--metrics-port` costs: the null scenario with a client that scrapes, and without, in interleaved runs.

python -m benchmarks.scraping            about 2.5 minutes; exit code 3 when scraping makes p50, p99 or the mean slower

The order is ABBA, the arrivals of each pair are the same, and the client is a process of its own, as a Prometheus
would be, which uses prometheus_client's own parser on what it gets.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from harness.errors import NOT_MET, OK
from harness.executors.session import execute
from harness.plan import Plan, resolve
from harness.records import RunRecords
from harness.report.prometheus import endpoint
from harness.scenario import load
from harness.stats.comparison import compare_sides

SCENARIO = Path(__file__).parent.parent / "scenarios" / "null.yaml"
METRICS = ("e2e.p50", "e2e.p99", "e2e.mean")
MARGIN = 0.1
CLIENT = """
import sys, time, urllib.request
from prometheus_client.parser import text_string_to_metric_families
while True:
    with urllib.request.urlopen(sys.argv[1]) as answer:
        list(text_string_to_metric_families(answer.read().decode()))
    time.sleep(float(sys.argv[2]))
"""


def quiet(plan: Plan) -> RunRecords:
    """A run that nobody watches."""
    execution = execute(plan)
    assert execution.status == "completed", execution.error
    return execution.records


def scraped(plan: Plan, every_s: float) -> RunRecords:
    """A run with a client that scrapes."""
    with endpoint(plan, 0) as metrics:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, metrics.url, str(every_s)])
        try:
            execution = execute(plan, metrics.beside(lambda progress: None))
        finally:
            client.kill()
            client.wait()
    assert execution.status == "completed", execution.error
    return execution.records


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--requests", type=int, default=3500)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two scrapes")
    told = parser.parse_args()
    without: list[RunRecords] = []
    under: list[RunRecords] = []
    for pair in range(told.pairs):
        plan = resolve(load(SCENARIO, [f"load.requests={told.requests}", f"load.seed={pair + 1}"]))
        for scrape in (False, True) if pair % 2 == 0 else (True, False):
            (under if scrape else without).append(scraped(plan, told.every) if scrape else quiet(plan))
        print(f"pair {pair + 1} of {told.pairs}", file=sys.stderr)
    found = compare_sides(without, under, metrics=METRICS, margin=MARGIN)
    print(f"null scenario, {told.pairs} pairs of {told.requests:,} requests, a scrape every {told.every:g} s")
    print(f"{'':10} {'without':>10} {'scraped':>10} {'ratio':>7}  95 % interval, all metrics at once")
    for effect in found.effects:
        interval = "-" if effect.ratio_interval is None else "{:.3f} .. {:.3f}".format(*effect.ratio_interval)
        figures = f"{effect.a or 0:10.4f} {effect.b or 0:10.4f} {effect.ratio or 0:7.3f}"
        print(f"{effect.metric:10} {figures}  {interval:18} {effect.verdict} {effect.reason}".rstrip())
    return NOT_MET if any(effect.verdict == "slower" for effect in found.effects) else OK


if __name__ == "__main__":
    sys.exit(main())
