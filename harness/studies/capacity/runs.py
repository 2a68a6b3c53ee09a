"""The variants among which a search chooses, and the load of the runs that measure one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from harness.arrivals import trace_times
from harness.errors import UsageError
from harness.plan import Plan, resolve
from harness.scenario import Axis, combinations, with_overrides
from harness.scenario.model import Closed, OpenLoad, Trace
from harness.studies.predict.whatif import FREE_TO_CHANGE
from harness.studies.variants import Variant, label_of, plan_variants
from harness.units import format_rate

MOST_VARIANTS = 256
SOUGHT = ("rate", "utilisation", "requests", "duration")
"""Keys of the load that the search itself sets."""


def variants(path: Path, overrides: Sequence[str], axes: Sequence[Axis]) -> list[Variant]:
    """Every combination of the axes, planned, so that none turns out to be impossible later. Raises UsageError."""
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key.startswith("load.") and key.removeprefix("load.") in SOUGHT:
            raise UsageError(f"the search itself sets {key}", where=f"--set {text}", hint="Leave it out.")
    for axis in axes:
        if axis.key.startswith("load."):
            raise UsageError(
                "the load is what is sought, and cannot be varied",
                where=f"--vary {axis}",
                hint="Set another kind of load with --set.",
            )
    found = plan_variants(path, overrides, combinations(axes, MOST_VARIANTS), label_of)
    for variant in found:
        check_load(variant.plan)
    return found


def check_load(plan: Plan) -> None:
    """Refuse a load that has no rate. Raises UsageError."""
    if isinstance(plan.load, Closed):
        raise UsageError(
            "a closed load has no rate: it offers a request when another completes, so no more than is carried",
            where=f"{plan.scenario.name}: load.arrivals",
            hint="Use an open one, such as --set load.arrivals=poisson.",
        )


def open_load(plan: Plan) -> OpenLoad:
    """The load of a Plan that `check_load` has passed."""
    assert not isinstance(plan.load, Closed)
    return plan.load


def threads(plan: Plan) -> int:
    """Compute threads of all workers together."""
    return sum(stage.workers * stage.options.threads for stage in plan.stages)


def largest_batch(plan: Plan) -> int:
    """Product of the stages' largest batches."""
    return math.prod(stage.batch_max for stage in plan.stages)


def work_of(plan: Plan) -> str:
    """Equal for plans whose stages do the same work: the service times of one are those of the other."""
    scenario = plan.scenario.model_dump(mode="json", exclude={"load", "slo", "stages", "description"})
    stages = [s.options.model_dump(mode="json", exclude=FREE_TO_CHANGE) for s in plan.stages]
    return json.dumps([scenario, stages], sort_keys=True)


def load_overrides(plan: Plan, rate_rps: float, requests: int, turn: int) -> list[str]:
    """The load of a measured run, as overrides.

    turn: the number of the run among those of its variant. It decides the seed, so that the same turn of every variant
    meets the same arrivals.
    """
    own = open_load(plan)
    warmup = max(own.warmup, requests // 10)
    if isinstance(own, Trace):
        warmup = own.warmup
        requests = max(1, min(requests, len(trace_times(own)) - warmup))
    rate = f"load.rate={format_rate(rate_rps)}"
    return [rate, f"load.requests={requests}", f"load.warmup={warmup}", f"load.seed={own.seed + turn}"]


def first_load_overrides(utilisation: float, seconds: float) -> list[str]:
    """The load of a variant's first run, as overrides: it measures the saturated rate, and offers a share of it."""
    return [f"load.utilisation={utilisation}", f"load.duration={round(seconds * 1e3)}ms"]


def plan_of(variant: Variant, overrides: Sequence[str]) -> Plan:
    """The Plan of a measured run."""
    return resolve(with_overrides(variant.plan.scenario, overrides))
