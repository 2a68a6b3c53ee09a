"""The highest load that keeps an SLO: the twin says where to look, measured runs decide.

slo             limits as one figure, the excess: the worst statistic over what it may be
configurations  what is varied, and which configurations share their service times
curve           the twin's excess over the rate, and where it crosses 1
evidence        what one measured run says about the capacity, and what several say together
search          which run to measure next, as a pure function of what is known; the loop over an injected `measure`
answer          what came of it, for JSON, the screen and the plot
recorded        a search whose answer so far is on disk after every run
"""

from harness.studies.capacity.configurations import Configuration, check_load, check_settings, grid
from harness.studies.capacity.recorded import Finding, find
from harness.studies.capacity.search import Goal, Measure, RunResult, State, Step, search
from harness.studies.capacity.slo import Limit, limits_of

__all__ = [
    "Configuration",
    "Finding",
    "Goal",
    "Limit",
    "Measure",
    "RunResult",
    "State",
    "Step",
    "check_load",
    "check_settings",
    "find",
    "grid",
    "limits_of",
    "search",
]
