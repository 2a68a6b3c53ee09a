"""From what the user asked for to all that is known before the run: shapes, rows, seeds. Executors take a Plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.arrivals import Schedule, trace_rate, trace_times
from harness.errors import ScenarioError
from harness.records import Layout
from harness.registry import EXECUTORS
from harness.scenario.model import Closed, OpenLoad, Scenario, StageOptions, Trace
from harness.stages import Images, Payload, Sampling, StageContext, Tensor

SATURATION_ROWS = 20_000
MOST_REQUESTS = 200_000_000  # of a load with a duration: as many as `requests` may ask for
RING_ROWS = 1 << 17
IN_FLIGHT_SHARE = 4
FASTEST_RPS = 1_000_000  # no pipeline of processes takes more: bounds the rows of a load whose length is a duration
SOME = 1_000  # requests beyond the warm-up that a schedule of unknown length is tried with first
COPIES, OPEN_BYTES = 7, 800
"""What saving and summarising take at their peak: so many sizes of the records, and so many bytes a request of an open
load, for intervals and models. Measured: 6.3 sizes (closed), and 700 to 770 bytes besides (open)."""
STREAMED_BYTES = 4
"""What summarising takes of memory for each row that is on the disk by then. Measured: 1.3 to 1.8."""
MODELLED, MODELLED_BYTES = 1 << 20, 600
"""Models of an open load are given its first requests, so many at most, and take so much memory for each (measured:
500 bytes). A million tell of service times and overheads what there is to tell."""
VALUE_BYTES, MARGIN = 2.0, 1.5
"""What a value of a row takes on the disk, and by how much more than that has to be free. Measured: 1.5 (three stages
that do nothing) to 2.0 (services of random length)."""


@dataclass(frozen=True)
class StagePlan:
    """One stage, resolved."""

    index: int
    options: StageOptions
    input: Payload
    output: Tensor
    parts: tuple[str, ...]
    reads_images: bool

    @property
    def name(self) -> str:
        """As results call it."""
        return self.options.name

    @property
    def workers(self) -> int:
        """Processes or threads that serve it."""
        return self.options.workers

    @property
    def capacity(self) -> int:
        """Slots of the channel in front of it."""
        return self.options.capacity

    @property
    def batch_max(self) -> int:
        """Largest batch. More slots than the channel has can never be filled."""
        return min(self.options.batching.max, self.capacity)

    @property
    def batch_timeout_ns(self) -> int:
        """How long the first request of a batch waits for others."""
        return self.options.batching.timeout

    @property
    def slot_bytes(self) -> int:
        """Bytes of a slot in front of it: none for images, which are shared and not sent."""
        return self.input.nbytes if isinstance(self.input, Tensor) else 0


@dataclass(frozen=True)
class Plan:
    """A scenario, resolved. Rows: first those of saturation, then each block's warm-up and measured requests."""

    scenario: Scenario
    stages: tuple[StagePlan, ...]
    measured: int | None
    """Measured requests of a block; None when only the run can tell."""
    blocks: int = 1
    """How often the load is offered, each time with its own warm-up and arrivals. A run is one block."""
    memory_rows: int = RING_ROWS
    """Rows that lie in memory at once, where there are more of them; see `ring_rows`."""
    sampling: Mapping[str, Sampling] = field(default_factory=dict, hash=False)
    """Stages that are profiled, by name: what is sampled is no measurement."""

    @property
    def load(self) -> OpenLoad | Closed:
        """The load."""
        return self.scenario.load

    @cached_property
    def layout(self) -> Layout:
        """What a row of the records holds."""
        return Layout.tandem(
            [stage.name for stage in self.stages],
            batching=[stage.name for stage in self.stages if stage.batch_max > 1],
            parts={stage.name: stage.parts for stage in self.stages},
            load="closed" if isinstance(self.load, Closed) else "open",
        )

    @property
    def reads_images(self) -> bool:
        """Whether any stage looks at the images of the source."""
        return any(stage.reads_images for stage in self.stages)

    @property
    def slots_bytes(self) -> int:
        """Shared memory of all slots."""
        return sum(stage.capacity * stage.slot_bytes for stage in self.stages)

    @property
    def in_flight(self) -> int:
        """Requests that can be between being issued and having ended, at most."""
        slots = sum(stage.capacity + stage.workers * stage.batch_max for stage in self.stages) + 1
        return min(slots, self.load.concurrency) if isinstance(self.load, Closed) else slots

    @property
    def ring_rows(self) -> int:
        """Rows that lie in memory during the run, a power of two: all of a short run's, else `memory_rows` or more.

        All rows of saturation have to be there at its end, and those in flight are a fraction of them, so that
        requests that overtake others do not fill it.
        """
        least = max(self.first_row, IN_FLIGHT_SHARE * self.in_flight, 1)
        return min(_power_of_two(max(least, self.memory_rows)), _power_of_two(self.max_rows))

    @property
    def least_bytes(self) -> int:
        """Memory that it cannot do without: slots, the ring, and what its records are summarised and saved in."""
        width, rows = self.layout.width, min(self.max_rows, self.ring_rows)
        streamed = max(0, self.least_rows - rows)
        closed = isinstance(self.load, Closed)
        a_row = COPIES * width * 8 + (0 if closed else OPEN_BYTES)
        models = 0 if closed else min(streamed, MODELLED) * MODELLED_BYTES
        return self.slots_bytes + rows * a_row + streamed * STREAMED_BYTES + models

    @property
    def disk_bytes(self) -> int:
        """What the records take on the disk at least, about: see `bytes_of`."""
        return self.bytes_of(self.least_rows)

    @property
    def least_rows(self) -> int:
        """Rows that it takes for certain: where only the run can tell how many, one is measured."""
        return self.first_measured + 1 if self.measured is None else self.max_rows

    def bytes_of(self, rows: int) -> int:
        """What so many rows take on the disk, about, with a margin. 0 where they lie in memory until the end."""
        return 0 if rows <= self.ring_rows else math.ceil(rows * self.layout.width * VALUE_BYTES * MARGIN)

    def check_disk(self, rows: int, free_bytes: int, where: str) -> None:
        """Raise ScenarioError where so many rows will not fit. free_bytes: on the disk that holds `where`."""
        needed = self.bytes_of(rows)
        if needed > free_bytes:
            raise ScenarioError(
                f"the records of {rows:,} requests take some {needed / 2**30:.1f} GiB, and"
                f" {free_bytes / 2**30:.1f} GiB are free in {where}",
                where=f"{self.scenario.name}: load.{'requests' if self.load.requests else 'duration'}",
                hint="Free some space, save elsewhere (--out), or run for less time.",
            )

    @property
    def saturates_first(self) -> bool:
        """Whether the run first saturates the pipeline: its load is a share of the saturated rate."""
        return not isinstance(self.load, Closed) and self.load.utilisation is not None

    @property
    def first_row(self) -> int:
        """Row of the first warm-up request, after those of saturation, which fill all queues and then show the rate."""
        slots = sum(stage.capacity for stage in self.stages)
        return max(SATURATION_ROWS, slots + SATURATION_ROWS // 2) if self.saturates_first else 0

    @property
    def first_measured(self) -> int:
        """Row of the first measured request of the first block."""
        return self.first_row + self.load.warmup

    @property
    def max_rows(self) -> int:
        """Rows that there can be."""
        if self.measured is not None:
            return self.first_row + self.blocks * (self.load.warmup + self.measured)
        rows = math.ceil((self.load.duration or 0) / 1e9 * FASTEST_RPS) + 1000
        return self.first_row + self.load.warmup + min(rows, MOST_REQUESTS)

    def fitted(self, usable_bytes: int) -> Plan:
        """With as large a ring as so much memory holds. Raises ScenarioError when it does not fit into that memory."""
        plan = self
        while plan.least_bytes > usable_bytes:
            smaller = replace(plan, memory_rows=plan.memory_rows // 2)
            if smaller.ring_rows == plan.ring_rows:
                raise ScenarioError(
                    f"slots and records take {plan.least_bytes / 2**30:.1f} GiB, more than"
                    f" {usable_bytes / 2**30:.1f} GiB, 60 % of the memory that is left",
                    where=self.scenario.name,
                    hint="Lower a stage's capacity or payload, or the number of requests.",
                )
            plan = smaller
        return plan

    def block(self, index: int) -> range:
        """Rows of a block, those of its warm-up first."""
        size = (self.max_rows - self.first_row) // self.blocks
        first = self.first_row + index * size
        return range(first, first + size)

    def describe_row(self, row: int) -> str:
        """A row's number as people count: within its phase and block, from 0."""
        if row < self.first_row:
            return f"{row} of the saturation"
        block, place = divmod(row - self.first_row, len(self.block(0)))
        within = f" of block {block}" if self.blocks > 1 else ""
        warmup = self.load.warmup
        return f"{place - warmup}{within}" if place >= warmup else f"{place} of the warm-up{within}"

    def seed(self, purpose: str, *within: int) -> np.random.SeedSequence:
        """A seed of its own for each purpose: arrivals, images, content, or the name of a stage."""
        fixed = ("arrivals", "images", "content")
        key = fixed.index(purpose) if purpose in fixed else 100 + self.layout.names.index(purpose)
        return np.random.SeedSequence(self.load.seed, spawn_key=(key, *within))

    def context(self, stage: StagePlan) -> StageContext:
        """What a worker builds its instance of `stage` from."""
        return StageContext(
            options=stage.options,
            input=stage.input,
            output=stage.output,
            parts=stage.parts,
            seed=self.seed(stage.name),
            max_batch=stage.batch_max,
            first_measured=self.first_measured,
            max_pixels=self.scenario.source.max_pixels,
            upstream=tuple(before.options for before in self.stages[: stage.index]),
            sampling=self.sampling.get(stage.name),
        )

    def due_times(self, rate_rps: float, block: int = 0) -> NDArray[np.int64]:
        """All due times of a block's `schedule` at once."""
        return np.concatenate(list(self.schedule(rate_rps, block)))

    def schedule(self, rate_rps: float, block: int = 0) -> Schedule:
        """The due times of a block, of its warm-up and measured requests. Only for open loads.

        Each block has arrivals of its own, but for a trace, which begins anew. Raises ScenarioError where no request
        would be measured, or more than MOST_REQUESTS, and where times cannot be had.
        """
        load = self.load
        assert not isinstance(load, Closed)
        seed = self.seed("arrivals", *([block] if block else []))
        if self.measured is not None:
            return Schedule.of(load, rate_rps, load.warmup + self.measured, seed)
        rows = self.max_rows - self.first_row
        count = min(rows, load.warmup + SOME)
        while (schedule := Schedule.within_duration(load, rate_rps, count, seed, self.scenario.name)) is None:
            if count == rows:
                raise ScenarioError(
                    f"more than {rows - load.warmup:,} requests arrive within the duration",
                    where=f"{self.scenario.name}: load.duration",
                    hint="Shorten it, or lower the rate.",
                )
            count = min(rows, 2 * count)
        return schedule

    def check_schedule(self, rate_rps: float) -> None:
        """Raise ScenarioError where a load with a duration would end before it has a measured request."""
        load, seed = self.load, self.seed("arrivals")
        assert not isinstance(load, Closed)
        Schedule.within_duration(load, rate_rps, load.warmup + SOME, seed, self.scenario.name)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def resolve(scenario: Scenario) -> Plan:
    """Resolve a scenario. Raises ScenarioError when its parts do not fit together."""
    planned: list[StagePlan] = []
    given: Payload = Images(scenario.source.form)
    for index, asked in enumerate(scenario.stages):
        try:
            options = asked.resolved(scenario.stages)
            spec = options.spec(given)
        except ScenarioError as error:
            where = f"{scenario.name}: stages.{asked.name}" + (f".{error.where}" if error.where else "")
            raise ScenarioError(error.what, where=where, hint=error.hint) from None
        planned.append(StagePlan(index, options, given, spec.output, spec.parts, spec.reads_images))
        given = spec.output
    load = scenario.load
    if isinstance(load, Closed) and scenario.on_full == "shed":
        raise ScenarioError(
            "a closed load never meets a full channel that it could shed at",
            where=f"{scenario.name}: on_full",
            hint="Use on_full: block, or an open load.",
        )
    if load.cpus is not None and EXECUTORS[scenario.executor].shares_interpreter:
        raise ScenarioError(
            f"with executor {scenario.executor} the producer has no process of its own that could be pinned",
            where=f"{scenario.name}: load.cpus",
            hint="Leave it out, or use executor: process.",
        )
    filled = scenario.model_copy(update={"stages": tuple(stage.options for stage in planned)})
    plan = Plan(filled, tuple(planned), _measured(load))
    if not isinstance(load, Closed) and plan.measured is None and not plan.saturates_first:
        plan.check_schedule(offered_rate(plan, None))
    return plan


def _measured(load: OpenLoad | Closed) -> int | None:
    if not isinstance(load, Trace):
        return load.requests
    there = len(trace_times(load)) - load.warmup
    wanted = load.requests or (1 if load.duration else max(there, 1))
    if there < wanted:
        raise ScenarioError(
            f"the trace holds {there + load.warmup} times: not enough for {load.warmup} warm-up requests"
            f" and {wanted} measured ones",
            where=f"load.file: {load.file}",
            hint="Lower load.warmup or load.requests, or give a longer trace.",
        )
    return None if load.duration else wanted


def offered_rate(plan: Plan, saturated_rps: float | None) -> float:
    """The rate of an open load in requests per second, given the saturated rate where it is a share of that."""
    load = plan.load
    assert not isinstance(load, Closed)
    if load.rate is not None:
        return load.rate
    if load.utilisation is not None:
        assert saturated_rps is not None
        return load.utilisation * saturated_rps
    assert isinstance(load, Trace)
    return trace_rate(trace_times(load) / 1e9)
