"""May the figures of a side be believed? The checks of a run, as far as they apply to blocks."""

from __future__ import annotations

from harness.executors.base import Execution
from harness.numbers import rate
from harness.pinning import pinned
from harness.scenario.model import Closed
from harness.stats import checks
from harness.stats.budget import PRODUCER, budget, measured_and_completed
from harness.stats.quantiles import NS_PER_MS, quantile
from harness.studies.run.facts import effective_of
from harness.summary import Check


def checks_of(execution: Execution) -> list[Check]:
    """Threads and CPUs as requested, stamps in order, the producer on time, and a load that the side can carry."""
    plan, records = execution.plan, execution.records
    effective = effective_of(execution)
    found = [checks.threads({stage.name: stage.options.threads for stage in plan.stages}, effective)]
    found += checks.pinning(pinned(plan), effective)
    if not measured_and_completed(records).any():
        return found
    found.append(checks.ordered(records))
    if not isinstance(plan.load, Closed):
        split = budget(records)
        late_ms, median_ms = (
            quantile(split.components[PRODUCER], 0.99) / NS_PER_MS,
            quantile(split.e2e, 0.5) / NS_PER_MS,
        )
        found += [checks.schedule(late_ms, median_ms), *_carried(execution)]
    return found


def _carried(execution: Execution) -> list[Check]:
    """Whether a calibrated side can carry what was offered."""
    saturated_rps, offered_rps = execution.saturated_rps, execution.offered_rps
    if saturated_rps is None or offered_rps is None or offered_rps < saturated_rps:
        return []
    what = f"{rate(offered_rps)} are offered, and it carries {rate(saturated_rps)}"
    return [Check("load", "invalid", f"{what}: its latency measures the length of a block")]
