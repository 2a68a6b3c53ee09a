"""Loads: when requests are due. One class a kind, with its options and the due times that follow from them, a pure
function of the options, the rate, the number of requests and a seed. The kinds are listed in harness.registry.

base   what a load is        renewal   constant, poisson, gamma        bursts, trace, closed
schedule   due times that take no memory
"""

from harness.arrivals.base import AnyLoad, OpenLoad, due_chunks, due_times
from harness.arrivals.bursts import Bursts
from harness.arrivals.closed import Closed
from harness.arrivals.renewal import Constant, Gamma, Poisson
from harness.arrivals.schedule import Schedule
from harness.arrivals.trace import Trace, trace_rate, trace_times

__all__ = [
    "AnyLoad",
    "Bursts",
    "Closed",
    "Constant",
    "Gamma",
    "OpenLoad",
    "Poisson",
    "Schedule",
    "Trace",
    "due_chunks",
    "due_times",
    "trace_rate",
    "trace_times",
]
