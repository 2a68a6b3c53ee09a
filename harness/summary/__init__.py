"""The summary of a run as a type: what `summary.json` holds, each figure with its meaning and unit.

    summary.e2e.p99, summary.e2e.p99_interval, summary.stages["inference"].queue_wait.p99, summary.throughput_rps

An attribute has the name of its key in the file, with three exceptions. A distribution loses its `_ms` (`e2e_ms` is
`e2e`): all figures of a distribution are ms. `p99_ci` is `p99_interval`. `reading` is `findings`. Elsewhere the name
ends with the unit: `_ms`, `_s`, `_rps` (requests per second), `_mb` (10**6 bytes). Shares and relative differences are
fractions of 1.

`harness.stats` makes it, `harness.store` writes and reads it, everything else reads its attributes.
"""

from harness.summary.distribution import FIGURES, HEADERS, LEVELS, QUANTILES, DeclaredQuantile, Distribution, Latency
from harness.summary.facts import (
    Change,
    ContextSwitches,
    Effective,
    Git,
    HostActivity,
    InFlight,
    LoadFacts,
    MachineWarning,
    Memory,
    Recording,
    RunFacts,
    Status,
    System,
)
from harness.summary.model import (
    SUMMARY,
    Backlog,
    BatchSize,
    Check,
    Level,
    ModelLadder,
    RequestCounts,
    Rung,
    SloResult,
    StageSummary,
    SteadyState,
    Summary,
    Tail,
    Trend,
    Verdict,
)

__all__ = [
    "FIGURES",
    "HEADERS",
    "LEVELS",
    "QUANTILES",
    "SUMMARY",
    "Backlog",
    "BatchSize",
    "Change",
    "Check",
    "ContextSwitches",
    "DeclaredQuantile",
    "Distribution",
    "Effective",
    "Git",
    "HostActivity",
    "InFlight",
    "Latency",
    "Level",
    "LoadFacts",
    "MachineWarning",
    "Memory",
    "ModelLadder",
    "Recording",
    "RequestCounts",
    "RunFacts",
    "Rung",
    "SloResult",
    "StageSummary",
    "Status",
    "SteadyState",
    "Summary",
    "System",
    "Tail",
    "Trend",
    "Verdict",
]
