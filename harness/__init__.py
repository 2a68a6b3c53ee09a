"""Measure, explain and plan the tail latency of an inference pipeline.

    import harness

    run = harness.run("resnet18_cpu", {"load.rate": "20/s"})
    run.summary.e2e.p99
    run.to_pandas()

Every name is imported when it is first used, and heavy libraries by the calls that need them. docs/api.md is the guide,
docs/reference.md the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import twin
    from harness.api.comparing import Comparison, compare
    from harness.api.predicting import Crosscheck, Forecast, crosscheck, simulate
    from harness.api.results import Interrupted
    from harness.api.runs import Run, open_run, run, runs
    from harness.api.scenarios import load_scenario
    from harness.api.searching import Search, capacity, open_search
    from harness.api.sweeping import Sweep, open_sweep, resume_sweep, sweep
    from harness.errors import HarnessError, RunFailed, SaveError, ScenarioError, StageFailed, StalledError, UsageError
    from harness.scenario import Scenario

    __version__: str

__all__ = [
    "Comparison",
    "Crosscheck",
    "Forecast",
    "HarnessError",
    "Interrupted",
    "Run",
    "RunFailed",
    "SaveError",
    "Scenario",
    "ScenarioError",
    "Search",
    "StageFailed",
    "StalledError",
    "Sweep",
    "UsageError",
    "capacity",
    "compare",
    "crosscheck",
    "load_scenario",
    "open_run",
    "open_search",
    "open_sweep",
    "resume_sweep",
    "run",
    "runs",
    "simulate",
    "sweep",
    "twin",
]

_HOMES = {
    "harness.api.comparing": (
        "Comparison",
        "compare",
    ),
    "harness.api.predicting": (
        "Crosscheck",
        "Forecast",
        "crosscheck",
        "simulate",
    ),
    "harness.api.results": ("Interrupted",),
    "harness.api.runs": (
        "Run",
        "open_run",
        "run",
        "runs",
    ),
    "harness.api.scenarios": ("load_scenario",),
    "harness.api.searching": (
        "Search",
        "capacity",
        "open_search",
    ),
    "harness.api.sweeping": (
        "Sweep",
        "open_sweep",
        "resume_sweep",
        "sweep",
    ),
    "harness.errors": (
        "HarnessError",
        "RunFailed",
        "SaveError",
        "ScenarioError",
        "StageFailed",
        "StalledError",
        "UsageError",
    ),
    "harness.scenario": ("Scenario",),
}
"""The module of each public name; `twin` is a module itself."""


if not TYPE_CHECKING:  # else no name would be unknown to a type checker

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name == "twin":
            return import_module("harness.twin")
        if name == "__version__":
            from importlib.metadata import version

            return version("tail-latency-harness")
        home = next((module for module, names in _HOMES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
