"""What a measured run says about the pipeline: service times by stage and batch size, and the cost of each hop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.plan import MODELLED, Plan, StagePlan
from harness.records import Ints, Outcome, Phase, RunRecords, batches, ready
from harness.twin.dependence import block_length, positions, starts
from harness.twin.pipeline import Overhead, Pipeline
from harness.twin.services import pick, whole_ns

MIN_SAMPLES = 20
"""Batches of a size that are enough to draw from; fewer, and all batches are drawn from, scaled to that size."""


@dataclass(frozen=True)
class StageSamples:
    """The measured batches of a stage in order of time; a request that was served singly is a batch of 1.

    service_ns, size: shape (batches,), int64. overhead: medians of what lies between stamps where nobody waited.
    """

    name: str
    service_ns: Ints
    size: Ints
    overhead: Overhead

    @cached_property
    def counts(self) -> dict[int, int]:
        """How many batches of each size there are."""
        sizes, counts = np.unique(self.size, return_counts=True)
        return {int(s): int(c) for s, c in zip(sizes, counts, strict=True)}

    def measured(self, size: int) -> bool:
        """Whether there are enough batches of a size."""
        return self.counts.get(size, 0) >= MIN_SAMPLES

    @cached_property
    def cost(self) -> tuple[float, float]:
        """(fixed_ns, per_request_ns): mean service of a batch as a line over its size, by least squares.

        With one size only, service is taken to be proportional to it: batching is not credited with a gain that
        nobody measured.
        """
        if len(self.counts) == 1:
            return 0.0, float(self.service_ns.mean() / self.size[0])
        slope, fixed = np.polyfit(self.size, self.service_ns, 1)
        if slope <= 0:
            return float(self.service_ns.mean()), 0.0
        if fixed < 0:
            return 0.0, float(self.service_ns.sum() / self.size.sum())
        return float(fixed), float(slope)

    def mean_ns(self, size: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """Mean service of a batch of a size, by that line."""
        fixed, per_request = self.cost
        return np.asarray(fixed + per_request * np.asarray(size))

    def of_size(self, size: int) -> Ints:
        """Service times of batches of a size to draw from, in ascending order: measured ones, or all of them scaled."""
        if self.measured(size):
            return np.sort(self.service_ns[self.size == size])
        return np.sort(whole_ns(self.service_ns * (self.mean_ns(size) / self.mean_ns(self.size))))

    @cached_property
    def relative(self) -> NDArray[np.float64]:
        """Service of each batch over what its size explains, shape (batches,)."""
        return np.asarray(self.service_ns / self.mean_ns(self.size))

    @cached_property
    def level(self) -> NDArray[np.float64]:
        """For each request the share of batches of its batch's size that were quicker, shape (requests,), in [0, 1)."""
        ranked = np.empty(len(self.size))
        for size, count in self.counts.items():
            mine = np.flatnonzero(self.size == size)
            ranked[mine[np.argsort(self.service_ns[mine], kind="stable")]] = (np.arange(count) + 0.5) / count
        return np.repeat(ranked, self.size)


@dataclass(frozen=True)
class ServiceProfile:
    """Samples of every stage of a run. offered_rps: the load under which they were taken; None of a closed load.

    together: the service times of requests at all the stages that served them singly, shape (requests, k), with the
    names of these stages. They are drawn together: a large image takes long at every stage.
    """

    stages: tuple[StageSamples, ...]
    together: Ints
    single: tuple[str, ...]
    offered_rps: float | None

    def stage(self, name: str) -> StageSamples | None:
        """The samples of a stage, if it was measured."""
        return next((s for s in self.stages if s.name == name), None)

    @property
    def overheads(self) -> dict[str, Overhead]:
        """Hop and turnaround of each stage, by name."""
        return {s.name: s.overhead for s in self.stages}

    @cached_property
    def block(self) -> int:
        """How many requests in a row are drawn together; 1 when services tell nothing of those that follow them."""
        singly = [block_length(column) for column in self.together.T]
        batching = [(block_length(s.relative), float(s.size.mean())) for s in self.stages if s.name not in self.single]
        return max([1, *singly, *(round(batches * size) for batches, size in batching if batches > 1)])

    def draw(
        self, pipeline: Pipeline, count: int, rng: np.random.Generator, *, block: int | None = None
    ) -> tuple[Ints, ...]:
        """Service times of `count` requests at the stages of a pipeline, all of which were measured.

        Drawn in blocks of so many requests in a row (None: as many as `self.block`), from the same moments of the run
        at all stages.
        """
        block = self.block if block is None else block
        begins = starts(count, block, rng)
        drawn: list[Ints] = []
        for station in pipeline.stations:
            samples = self.stage(station.name)
            if samples is None:
                raise KeyError(f"stage {station.name!r} was not measured")
            if station.batch_max == 1 and station.name in self.single:
                at = positions(begins, len(self.together), block, count)
                drawn.append(self.together[at, self.single.index(station.name)][:, None])
            else:
                level = samples.level[positions(begins, len(samples.level), block, count)]
                sizes = range(1, station.batch_max + 1)
                drawn.append(np.stack([pick(samples.of_size(size), level) for size in sizes], axis=1))
        return tuple(drawn)

    def resampled(self, rng: np.random.Generator) -> ServiceProfile:
        """A profile as another run of the same length might have given it: blocks of the samples, drawn anew.

        Blocks of n^(1/3) neighbours, or `self.block` where that is more, keep what one service has in common with the
        next (moving block bootstrap: Kuensch, Annals of Statistics 17, 1989; the length: Hall, Horowitz and Jing,
        Biometrika 82, 1995).
        """
        order = _blocks(len(self.together), self.block, rng)
        stages = []
        for stage in self.stages:
            rows = _blocks(len(stage.size), round(self.block / float(stage.size.mean())), rng)
            stages.append(replace(stage, service_ns=stage.service_ns[rows], size=stage.size[rows]))
        return replace(self, stages=tuple(stages), together=self.together[order])


def modelled(records: RunRecords) -> RunRecords:
    """The requests that models are given, in memory: all, or the first MODELLED ones, with what was issued before."""
    if len(records) <= MODELLED:
        return records
    rows = np.empty((MODELLED, records.layout.width), np.int64)
    first = 0
    failures: dict[int, str] = {}
    for block in records.blocks():
        part = block.select(slice(0, MODELLED - first))
        rows[first : first + len(part)] = part.rows
        failures |= {first + row: reason for row, reason in part.failures.items()}
        first += len(part)
        if first == MODELLED:
            break
    return RunRecords(records.layout, rows, failures)


def profile_of(plan: Plan, records: RunRecords) -> ServiceProfile:
    """Take the samples from the measured, completed ones of the requests `modelled`. Raises ValueError without any."""
    records = modelled(records)
    ended = records.with_outcome(Outcome.COMPLETED)
    measured = ended.of_phase(Phase.MEASURED)
    if not len(measured):
        raise ValueError("no measured request completed")
    single = tuple(s.name for s in plan.stages if s.batch_max == 1)
    columns = [measured.stage(s.index).done - measured.stage(s.index).started for s in plan.stages if s.batch_max == 1]
    together = np.stack(columns, axis=1) if columns else np.empty((len(measured), 0), np.int64)
    open_load = plan.load.arrivals != "closed"
    span_ns = int(np.ptp(measured.due))
    return ServiceProfile(
        stages=tuple(_samples(plan, ended, measured, i) for i in range(len(plan.stages))),
        together=np.maximum(together, 1),
        single=single,
        offered_rps=(len(measured) - 1) / (span_ns / 1e9) if open_load and span_ns else None,
    )


def _samples(plan: Plan, ended: RunRecords, measured: RunRecords, index: int) -> StageSamples:
    stage = measured.stage(index)
    served = batches(stage.batch)
    first, size = served.first, served.size
    order = np.argsort(stage.started[first], kind="stable")
    service = np.maximum(stage.done - stage.started, 1)[first]
    batching = plan.stages[index].batch_max > 1
    return StageSamples(
        name=stage.name,
        service_ns=service[order],
        size=size[order],
        overhead=Overhead(
            _median(hop_waits(ended, index, plan.stages[index].workers)),
            _median(turnarounds(ended, index)),
            _median(overruns(ended, plan.stages[index])) if batching else 0,
        ),
    )


def hop_waits(ended: RunRecords, index: int, workers: int) -> Ints:
    """How long requests lay ready for a stage although a worker was idle and the channel otherwise empty, in ns.

    What is left of the queue wait when there is nobody to wait for is what the hop costs.
    """
    stage = ended.stage(index)
    ready_ns = ready(ended, index)
    served = batches(stage.batch)
    begun = np.full(len(served.first), np.iinfo(np.int64).max)
    np.minimum.at(begun, served.number, stage.taken)
    freed = np.zeros(len(served.first), np.int64)
    np.maximum.at(freed, served.number, _handed_on(ended, index))
    busy = np.searchsorted(np.sort(begun), ready_ns) - np.searchsorted(np.sort(freed), ready_ns, side="right")
    ahead = np.searchsorted(np.sort(ready_ns), ready_ns) - np.searchsorted(np.sort(stage.taken), ready_ns)
    waits: Ints = (stage.taken - ready_ns)[(busy < workers) & (ahead <= 0)]
    return np.maximum(waits, 0)


def turnarounds(ended: RunRecords, index: int) -> Ints:
    """How long a worker took from handing on its last result until it took a request that lay ready by then, in ns."""
    stage = ended.stage(index)
    ready_ns, handed_on = ready(ended, index), _handed_on(ended, index)
    found = []
    for worker in np.unique(stage.worker):
        mine = np.flatnonzero(stage.worker == worker)
        mine = mine[np.lexsort((ready_ns[mine], stage.taken[mine]))]
        begins = np.flatnonzero(np.diff(stage.batch[mine], prepend=-1) != 0)
        before = np.maximum.reduceat(handed_on[mine], begins)[:-1]
        first = mine[begins[1:]]
        found.append((stage.taken[first] - before)[ready_ns[first] <= before])
    return np.maximum(np.concatenate(found), 0)


def overruns(ended: RunRecords, planned: StagePlan) -> Ints:
    """How much longer than its timeout each batch that did not get full was held open, in ns."""
    stage = ended.stage(planned.index)
    served = batches(stage.batch)
    begun = np.full(len(served.first), np.iinfo(np.int64).max)
    np.minimum.at(begun, served.number, stage.taken)
    held: Ints = (stage.started[served.first] - begun - planned.batch_timeout_ns)[served.size < planned.batch_max]
    return np.maximum(held, 0)


def _handed_on(ended: RunRecords, index: int) -> Ints:
    """When the worker of each request was rid of it: after service, or where it batches when the next stage has it."""
    if ended.layout.stages[index].batching and index + 1 < len(ended.layout.names):
        return ended.stage(index + 1).accepted
    return ended.stage(index).done


def _median(waits: Ints) -> int:
    return int(np.median(waits)) if len(waits) else 0


def _blocks(count: int, shortest: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if count == 0:
        return np.empty(0, np.int64)
    length = min(count, max(1, shortest, round(count ** (1 / 3))))
    begins = rng.integers(0, count - length + 1, -(-count // length))
    return np.asarray((begins[:, None] + np.arange(length)).reshape(-1)[:count])
