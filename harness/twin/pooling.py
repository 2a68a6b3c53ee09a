"""Service profiles of several runs as one, at a load in between: service that grows with the load is interpolated.

Processes that share cores, caches and memory slow each other down, so a stage takes longer when the others are busier.
Each run's samples are scaled by the ratio of what the stage's service is expected to take at the load that is asked
for to what it took at the load of that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np

from harness.records import Ints
from harness.twin.pipeline import Overhead
from harness.twin.service_profile import ServiceProfile, StageSamples
from harness.twin.services import whole_ns

SAME_LOAD = 0.05
"""Runs whose rates differ by less than this share tell nothing of how service grows with the load."""
BEYOND = 1.25


def pooled(profiles: Sequence[ServiceProfile], rate_rps: float | None = None) -> ServiceProfile:
    """One profile out of those of several runs of the same stages, for a load of rate_rps (None: no scaling).

    Raises ValueError when their stages differ.
    """
    first = profiles[0]
    if any([s.name for s in c.stages] != [s.name for s in first.stages] or c.single != first.single for c in profiles):
        raise ValueError("the runs do not have the same stages, served singly and in batches alike")
    levels = {name: slowdowns(profiles, name, rate_rps) for name in (s.name for s in first.stages)}
    stages = []
    for index, stage in enumerate(first.stages):
        parts = [c.stages[index] for c in profiles]
        scaled = [whole_ns(p.service_ns * level) for p, level in zip(parts, levels[stage.name], strict=True)]
        stages.append(
            StageSamples(
                stage.name,
                np.concatenate(scaled),
                np.concatenate([p.size for p in parts]),
                Overhead(*np.median([astuple(p.overhead) for p in parts], axis=0).astype(int).tolist()),
            )
        )
    together: list[Ints] = []
    for number, profile in enumerate(profiles):
        factors = np.array([levels[name][number] for name in first.single])
        together.append(whole_ns(profile.together * factors))
    rates = [c.offered_rps for c in profiles if c.offered_rps is not None]
    return replace(
        first, stages=tuple(stages), together=np.concatenate(together), offered_rps=max(rates) if rates else None
    )


def slowdowns(profiles: Sequence[ServiceProfile], name: str, rate_rps: float | None) -> list[float]:
    """What to scale each run's service times at a stage by, to make them those of a load of rate_rps.

    The logarithm of the mean service of each run and size of batch is taken to be a level of that size plus a slope
    times the run's rate (least squares, weighted with the number of batches), so that larger batches at higher rates
    are not mistaken for slower service. The slope is followed beyond the lowest and the highest rate by BEYOND at most.
    A stage that took longer at the lower rate did so because the machine was in another state, and not for the load:
    a negative slope is not followed.
    """
    rates = [c.offered_rps for c in profiles if c.offered_rps is not None]
    if rate_rps is None or len(rates) < len(profiles) or max(rates) - min(rates) < SAME_LOAD * max(rates):
        return [1.0] * len(profiles)
    samples = [next(s for s in c.stages if s.name == name) for c in profiles]
    sizes = sorted({size for s in samples for size in s.counts})
    cells = [(run, size, count) for run, s in enumerate(samples) for size, count in s.counts.items()]
    design = np.zeros((len(cells), len(sizes) + 1))
    level = np.empty(len(cells))
    for row, (run, size, _) in enumerate(cells):
        design[row, sizes.index(size)] = 1.0
        design[row, -1] = rates[run]
        level[row] = np.log(samples[run].service_ns[samples[run].size == size].mean())
    weight = np.sqrt([count for _, _, count in cells])
    slope = max(0.0, float(np.linalg.lstsq(design * weight[:, None], level * weight, rcond=None)[0][-1]))
    wanted = min(max(rate_rps, min(rates) / BEYOND), max(rates) * BEYOND)
    return [float(np.exp(slope * (wanted - rate))) for rate in rates]
