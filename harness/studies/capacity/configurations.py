"""What is varied: a grid over keys of the scenario, and which of its points share their service times."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.arrivals import trace_times
from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.scenario import with_overrides
from harness.scenario.model import Closed, OpenLoad, Trace
from harness.studies.predict.whatif import FREE_TO_CHANGE
from harness.units import format_rate

MOST = 256
SOUGHT = ("rate", "utilisation", "requests", "duration")
"""Keys of the load that the search itself sets."""


@dataclass(frozen=True)
class Configuration:
    """The scenario with some settings. plan: with the load that the file has; `at` gives the one to measure."""

    settings: tuple[str, ...]
    plan: Plan

    @property
    def name(self) -> str:
        """For people: the settings, without what all keys of stages begin with."""
        return ", ".join(setting.removeprefix("stages.") for setting in self.settings) or "as given"

    @property
    def load(self) -> OpenLoad:
        """The kind of arrivals."""
        assert not isinstance(self.plan.load, Closed)
        return self.plan.load

    @property
    def threads(self) -> int:
        """Compute threads of all workers."""
        return sum(stage.workers * stage.options.threads for stage in self.plan.stages)

    @property
    def largest_batch(self) -> int:
        """Product over the stages of the largest batch."""
        return math.prod(stage.batch_max for stage in self.plan.stages)

    @cached_property
    def services(self) -> str:
        """Equal for configurations whose stages do the same work: service times of one are those of the other."""
        scenario = self.plan.scenario.model_dump(mode="json", exclude={"load", "slo", "stages", "description"})
        stages = [s.options.model_dump(mode="json", exclude=FREE_TO_CHANGE) for s in self.plan.stages]
        return json.dumps([scenario, stages], sort_keys=True)

    def overrides(self, rate_rps: float, requests: int, turn: int) -> list[str]:
        """Settings for a measured run of so many requests at a rate.

        turn: counts the runs of a configuration. Each has a seed of its own, which all configurations have in common.
        """
        own = self.load
        warmup = max(own.warmup, requests // 10)
        if isinstance(own, Trace):
            warmup = own.warmup
            requests = max(1, min(requests, len(trace_times(own)) - warmup))
        rate = f"load.rate={format_rate(rate_rps)}"
        return [rate, f"load.requests={requests}", f"load.warmup={warmup}", f"load.seed={own.seed + turn}"]

    def exploring(self, utilisation: float, seconds: float) -> list[str]:
        """Settings for a first run, which finds the capacity before it offers a share of it."""
        return [f"load.utilisation={utilisation}", f"load.duration={round(seconds * 1e3)}ms"]

    def at(self, overrides: Sequence[str]) -> Plan:
        """The Plan of a measured run."""
        return resolve(with_overrides(self.plan.scenario, overrides))


def grid(over: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of `KEY=VALUE,VALUE...`, as settings; one without any where nothing is varied.

    Raises UsageError.
    """
    axes = [_axis(text) for text in over]
    keys = [axis[0].partition("=")[0] for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise UsageError(f"{twice} is varied twice", where="--over", hint="Give all its values in one --over.")
    count = math.prod(len(axis) for axis in axes)
    if count > MOST:
        raise UsageError(f"{count} configurations are more than the {MOST} that are searched", where="--over")
    return list(itertools.product(*axes))


def check_settings(overrides: Sequence[str]) -> None:
    """Refuse settings of what is sought. Raises UsageError."""
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key.startswith("load.") and key.removeprefix("load.") in SOUGHT:
            raise UsageError(f"{key} is what the search finds or chooses", where=f"--set {text}", hint="Leave it out.")


def check_load(plan: Plan) -> None:
    """Refuse a load that has no rate. Raises UsageError."""
    if isinstance(plan.load, Closed):
        raise UsageError(
            "a closed load has no rate: whoever waits for a completion offers only what is carried",
            where=f"{plan.scenario.name}: load.arrivals",
            hint="Use an open one, such as --set load.arrivals=poisson.",
        )


def _axis(text: str) -> tuple[str, ...]:
    key, equals, listed = text.partition("=")
    values = [value.strip() for value in listed.split(",")]
    where = f"--over {text}"
    if not equals or not key.strip() or not all(values):
        raise UsageError(
            "expected KEY=VALUE,VALUE,...", where=where, hint="Such as --over stages.inference.batch.max=1,2,4,8"
        )
    if key.strip().startswith("load."):
        raise UsageError(
            "the load is what is sought, not what is chosen", where=where, hint="Set another kind of load with --set."
        )
    return tuple(dict.fromkeys(f"{key.strip()}={value}" for value in values))
