"""A measured run again, request by request, with its own due times and service times.

The twin decides anew who waits for whom and which requests form a batch. What it cannot explain is overhead: hops,
scheduling, cores that are shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.plan import Plan
from harness.records import Ints, Outcome, Phase, RunRecords, batches
from harness.scenario.model import Closed
from harness.twin import compiled
from harness.twin.pipeline import Demand, of_plan
from harness.twin.service_profile import ServiceProfile, modelled, profile_of
from harness.twin.services import whole_ns


@dataclass(frozen=True)
class Replay:
    """measured_ns, replayed_ns: e2e latency of the measured requests that completed in both, shape (n,), in order."""

    measured_ns: Ints
    replayed_ns: Ints
    records: RunRecords

    @property
    def correlation(self) -> float:
        """Between measured and replayed latencies of the same requests; 1 where neither varies."""
        if np.ptp(self.measured_ns) == 0 or np.ptp(self.replayed_ns) == 0:
            return 1.0 if np.array_equal(self.measured_ns, self.replayed_ns) else 0.0
        return float(np.corrcoef(self.measured_ns, self.replayed_ns)[0, 1])


def replay(plan: Plan, records: RunRecords, profile: ServiceProfile | None = None) -> Replay:
    """Replay the warm-up and the measured ones of the requests `modelled`. Raises ValueError when none completed.

    profile: of the same run, where it is there.
    """
    records = modelled(records)
    profile = profile or profile_of(plan, records)
    offered = records.select(records.column("phase") != Phase.SATURATION)
    service = tuple(_service(plan, offered, profile, i) for i in range(len(plan.stages)))
    pipeline = of_plan(plan, profile.overheads)
    if isinstance(plan.load, Closed):
        demand = Demand(service, concurrency=plan.load.concurrency, shares=True)
    else:
        demand = Demand(service, np.ascontiguousarray(offered.due), shares=True)
    twin = compiled.simulate(pipeline, demand)
    both = (
        (offered.column("phase") == Phase.MEASURED)
        & (offered.outcome == Outcome.COMPLETED)
        & (twin.outcome == Outcome.COMPLETED)
    )
    return Replay((offered.completed - offered.due)[both], (twin.completed - twin.due)[both], twin)


def _service(plan: Plan, offered: RunRecords, profile: ServiceProfile, index: int) -> Ints:
    """What each request adds to the service of a batch of each size, shape (n, batch_max).

    In the batch that was measured the shares add up to what it took. In one of another size they are scaled, so that
    what was slow stays slow in whatever company. A request that was never served there has the mean.
    """
    stage, samples, most = offered.stage(index), profile.stages[index], plan.stages[index].batch_max
    served = stage.done > 0
    together = batches(stage.batch[served])
    size = np.ones(len(offered), np.int64)
    size[served] = together.size[together.number]
    took = np.where(served, stage.done - stage.started, samples.mean_ns(1))
    columns = [whole_ns(took / samples.mean_ns(size) * samples.mean_ns(k) / k) for k in range(1, most + 1)]
    return np.stack(columns, axis=1)
