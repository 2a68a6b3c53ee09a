"""The machine under a measurement: what it is, what it does during a run, and what about it harms latency.

`describe` is what a run saves as its environment; `warnings` judges that; `Counters` and `process_usage` are read while
a run goes on, so they read /proc directly. Every function works on Linux and leaves out what another system does not
tell. It may be imported by anything above `harness.records` and imports only the clock.
"""

from harness.host.advice import Warning, warnings
from harness.host.counters import Counters, Interval, sample
from harness.host.description import describe
from harness.host.limits import affinity, usable_cores
from harness.host.process import ProcessUsage, process_usage
from harness.host.timeline import Timeline

__all__ = [
    "Counters",
    "Interval",
    "ProcessUsage",
    "Timeline",
    "Warning",
    "affinity",
    "describe",
    "process_usage",
    "sample",
    "usable_cores",
    "warnings",
]
