"""The highest load that keeps an SLO: the twin says where to look, measured runs decide.

slo        limits as one figure, the excess: the worst statistic over its limit
runs       the variants among which a search chooses, and the load of a measured run
curve      the twin's excess over the rate, and where it crosses 1
evidence   what one measured run says about the highest rate, and what several say together
state      what is asked for, and all that a search knows
search     which run to measure next, as a pure function of the state; the loop over an injected `measure`
document   the result as a typed document
result     makes it
findings   the result in words
recorded   a search whose result so far is on disk after every run
"""

from harness.studies.capacity.document import CapacityResult
from harness.studies.capacity.recorded import Finding, find, load
from harness.studies.capacity.runs import check_load, variants
from harness.studies.capacity.search import search
from harness.studies.capacity.slo import Limit, limits_of
from harness.studies.capacity.state import Candidate, Goal, Measure, RunResult, State, Step

__all__ = [
    "Candidate",
    "CapacityResult",
    "Finding",
    "Goal",
    "Limit",
    "Measure",
    "RunResult",
    "State",
    "Step",
    "check_load",
    "find",
    "limits_of",
    "load",
    "search",
    "variants",
]
