"""From what the user asked for to all that is known before the run: shapes, rows, seeds. Executors take a Plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness import stages
from harness.arrivals import due_times, trace_rate, trace_times
from harness.errors import ScenarioError
from harness.records import Layout
from harness.scenario.model import Closed, OpenLoad, Scenario, StageOptions, Trace
from harness.stages import Images, Payload, Sampling, StageContext, Tensor

CALIBRATION_ROWS = 20_000
MOST_ROWS = 10_000_000
FASTEST_RPS = 50_000  # bounds the rows of a run whose number of requests is not known beforehand


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
    """A scenario, resolved. Rows: the calibration's come first, then each block's warm-up and its measured requests."""

    scenario: Scenario
    stages: tuple[StagePlan, ...]
    measured: int | None
    """Measured requests of a block; None when only the run can tell."""
    blocks: int = 1
    """How often the load is offered, each time with its own warm-up and arrivals. A run is one block."""
    sampling: Mapping[str, Sampling] = field(default_factory=dict, hash=False)
    """Stages that are profiled, by name: what is sampled is no measurement."""

    @property
    def load(self) -> OpenLoad | Closed:
        """The load."""
        return self.scenario.load

    @cached_property
    def layout(self) -> Layout:
        """Of a row of the records."""
        return Layout(tuple(s.name for s in self.stages), tuple(s.parts for s in self.stages))

    @property
    def reads_images(self) -> bool:
        """Whether any stage looks at the images of the source."""
        return any(stage.reads_images for stage in self.stages)

    @property
    def shared_bytes(self) -> int:
        """Shared memory that is touched before the run: the slots, and the records where their number is known."""
        slots = sum(stage.capacity * stage.slot_bytes for stage in self.stages)
        return slots + (self.max_rows * self.layout.width * 8 if self.measured is not None else 0)

    @property
    def calibrates(self) -> bool:
        """Whether a saturated calibration finds the rate first."""
        return not isinstance(self.load, Closed) and self.load.utilisation is not None

    @property
    def first_row(self) -> int:
        """Row of the first warm-up request."""
        return CALIBRATION_ROWS if self.calibrates else 0

    @property
    def first_measured(self) -> int:
        """Row of the first measured request of the first block."""
        return self.first_row + self.load.warmup

    @property
    def max_rows(self) -> int:
        """Rows to make room for."""
        if self.measured is not None:
            return self.first_row + self.blocks * (self.load.warmup + self.measured)
        seconds = (self.load.duration or 0) / 1e9
        return self.first_measured + min(MOST_ROWS, math.ceil(seconds * FASTEST_RPS) + 1000)

    def block(self, index: int) -> range:
        """Rows of a block, those of its warm-up first."""
        size = (self.max_rows - self.first_row) // self.blocks
        first = self.first_row + index * size
        return range(first, first + size)

    def describe_row(self, row: int) -> str:
        """A row's number as people count: within its phase and block, from 0."""
        if row < self.first_row:
            return f"{row} of the calibration"
        block, place = divmod(row - self.first_row, len(self.block(0)))
        within = f" of block {block}" if self.blocks > 1 else ""
        warmup = self.load.warmup
        return f"{place - warmup}{within}" if place >= warmup else f"{place} of the warm-up{within}"

    def seed(self, purpose: str, *within: int) -> np.random.SeedSequence:
        """A seed of its own for each purpose: arrivals, images, content, or the name of a stage."""
        fixed = ("arrivals", "images", "content")
        key = fixed.index(purpose) if purpose in fixed else 100 + self.layout.stages.index(purpose)
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

    def due_times(self, rate_rps: float, block: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Due times in ns from the start of a block, of its warm-up and measured requests. Only for open loads.

        Each block has arrivals of its own, but for a trace, which begins anew.
        """
        load = self.load
        assert not isinstance(load, Closed)
        seed = self.seed("arrivals", *([block] if block else []))
        if self.measured is not None:
            return due_times(load, rate_rps, load.warmup + self.measured, seed)
        assert load.duration is not None
        rows = self.max_rows - self.first_row
        count = min(rows, load.warmup + 1000)
        while True:
            due = due_times(load, rate_rps, count, seed)
            start = due[load.warmup - 1] if load.warmup else 0
            if len(due) < count or due[-1] >= start + load.duration:
                return due[: int(np.searchsorted(due, start + load.duration))]
            if count == rows:
                raise ScenarioError(
                    f"more than {rows - load.warmup:,} requests arrive within the duration",
                    where=f"{self.scenario.name}: load.duration",
                    hint="Shorten it, or lower the rate.",
                )
            count = min(rows, 2 * count)


def resolve(scenario: Scenario) -> Plan:
    """Resolve a scenario. Raises ScenarioError when its parts do not fit together."""
    planned: list[StagePlan] = []
    given: Payload = Images(scenario.source.form)
    for index, asked in enumerate(scenario.stages):
        try:
            options = stages.resolved(asked, scenario)
            spec = stages.spec(options, given)
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
    filled = scenario.model_copy(update={"stages": tuple(stage.options for stage in planned)})
    return Plan(filled, tuple(planned), _measured(load))


def _measured(load: OpenLoad | Closed) -> int | None:
    if isinstance(load, Trace) and load.duration is None:
        there = len(trace_times(load)) - load.warmup
        wanted = there if load.requests is None else load.requests
        if there < max(wanted, 1):
            raise ScenarioError(
                f"the trace holds {there + load.warmup} times: not enough for {load.warmup} warm-up requests"
                f" and {max(wanted, 1)} measured ones",
                where=f"load.file: {load.file}",
            )
        return wanted
    return load.requests


def offered_rate(plan: Plan, capacity_rps: float | None) -> float:
    """The rate of an open load in requests per second, given the calibrated capacity where it is relative to that."""
    load = plan.load
    assert not isinstance(load, Closed)
    if load.rate is not None:
        return load.rate
    if load.utilisation is not None:
        assert capacity_rps is not None
        return load.utilisation * capacity_rps
    assert isinstance(load, Trace)
    return trace_rate(trace_times(load) / 1e9)
