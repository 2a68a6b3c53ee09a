"""Several pipelines open at once, given the same blocks of load in turns: what a comparison is made of.

Every side's workers, caches and models are warm from the first block on, and a drift of the machine meets all sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.clock import now_ns
from harness.errors import HarnessError
from harness.executors.base import Ending, Execution, Failure
from harness.executors.kind import kind_of
from harness.executors.pipeline import OpenPipeline
from harness.executors.progress import Progress
from harness.executors.session import in_loop, run_to_completion
from harness.interruption import held
from harness.plan import Plan, offered_rate
from harness.records import Phase, RunRecords
from harness.scenario.model import Closed, Source
from harness.stages.source import ImageSet


@dataclass(frozen=True)
class Turn:
    """One side has had one block. Times in ns of the monotonic clock."""

    block: int
    side: int
    begun_ns: int
    ended_ns: int


@dataclass(frozen=True)
class Standing:
    """Where a comparison stands: the side that has its turn, how it gets on, and the turns that are over."""

    side: int
    progress: Progress
    turns: Sequence[Turn]
    total_turns: int


@dataclass(frozen=True)
class Blocks:
    """What happened: an Execution a side, with the rows of all its blocks one after the other, and the turns."""

    sides: tuple[Execution, ...]
    turns: tuple[Turn, ...]
    ending: Ending

    @property
    def complete(self) -> int:
        """Blocks that every side has ended; the first ones, as blocks follow one another."""
        return len(self.turns) // len(self.sides)

    def measured(self, side: int) -> tuple[RunRecords, ...]:
        """The measured requests of a side's complete blocks, a RunRecords each."""
        execution = self.sides[side]
        size = execution.plan.measured
        assert size is not None
        rows = execution.records.of_phase(Phase.MEASURED)
        return tuple(rows.select(slice(block * size, (block + 1) * size)) for block in range(self.complete))


def order(sides: int, block: int) -> tuple[int, ...]:
    """In which order the sides have a block: over 2 * sides blocks each stands in each place equally often, and
    comes equally often directly behind each other one. Two sides: AB BA BA AB. See `balanced` for other numbers.

    Rows of a Williams square and their mirror images (Williams, Australian Journal of Scientific Research 2, 1949).
    """
    zigzag = [(i + 1) // 2 if i % 2 else -(i // 2) for i in range(sides)]  # 0, 1, -1, 2, -2, ...
    row = [(place + block // 2) % sides for place in zigzag]
    return tuple(reversed(row)) if block % 2 else tuple(row)


def balanced(sides: int, at_least: int) -> int:
    """The smallest number of blocks, from `at_least` on, over which `order` puts each side in each place equally often.

    An even number of sides needs one Williams square, of as many rows; an odd number needs two. Over other numbers of
    blocks the sides' turns to go first differ by one at most.
    """
    period = sides if sides % 2 == 0 else 2 * sides
    return -(-at_least // period) * period


def execute_blocks(
    plans: Sequence[Plan], observe: Callable[[Standing], None] = lambda standing: None, observe_every_s: float = 0.5
) -> Blocks:
    """Open the pipelines of all Plans, and give each block of load to each in turn. Never raises a HarnessError.

    plans: one a side, with the same load, number of blocks, and number of measured requests in a block. Due times,
    and which image a request gets, depend on the block alone, so that they are the same for all sides. A load relative
    to the capacity is relative to that of the first side; all are saturated first, so that all are equally warm.

    A signal (see harness.interruption) or the first side that fails ends it. Whatever happens, nothing that it started
    is left.
    """

    async def session() -> Blocks:
        work = _Turns(plans, observe, observe_every_s)
        ending = await run_to_completion(work.run(), work.stop)
        return Blocks(tuple(p.execution(ending) for p in work.pipelines), tuple(work.turns), ending)

    with held():
        return in_loop(session, precise=any(kind_of(plan).precise_timers for plan in plans))


class _Turns:
    def __init__(self, plans: Sequence[Plan], observe: Callable[[Standing], None], observe_every_s: float) -> None:
        self.turns: list[Turn] = []
        self._side = 0
        total = len(plans) * plans[0].blocks
        self.pipelines = [
            OpenPipeline(plan, lambda p: observe(Standing(self._side, p, self.turns, total)), observe_every_s)
            for plan in plans
        ]

    async def run(self) -> None:
        try:
            await self._run()
        except HarnessError as error:
            error.where = f"side {chr(ord('a') + self._culprit(error))}" + (f": {error.where}" if error.where else "")
            raise

    async def _run(self) -> None:
        first, plan = self.pipelines[0], self.pipelines[0].plan
        images: dict[Source, ImageSet] = {}
        for pipeline in self._in_turn(range(len(self.pipelines))):
            source = pipeline.plan.scenario.source
            await pipeline.start(images.get(source))
            if pipeline.images is not None:
                images[source] = pipeline.images
        if plan.saturates_first:
            for pipeline in self._in_turn(range(len(self.pipelines))):
                await pipeline.saturate()
        rate_rps = None if isinstance(plan.load, Closed) else offered_rate(plan, first.saturated_rps)
        for pipeline in self.pipelines:
            pipeline.begin()
        for block in range(plan.blocks):
            for pipeline in self._in_turn(order(len(self.pipelines), block)):
                begun = now_ns()
                await pipeline.play(block, rate_rps, self._failures())
                self.turns.append(Turn(block, self._side, begun, now_ns()))

    def _in_turn(self, sides: Iterable[int]) -> Iterator[OpenPipeline]:
        for self._side in sides:
            yield self.pipelines[self._side]

    def _failures(self) -> list[Failure]:
        return [p.failure for p in self.pipelines if p.failure is not None]

    def _culprit(self, error: HarnessError) -> int:
        """The side whose worker failed, else the one that has its turn."""
        failures = [p.failure for p in self.pipelines]
        return next((i for i, f in enumerate(failures) if f and f.done() and f.result() is error), self._side)

    async def stop(self, hurry: asyncio.Event) -> None:
        for pipeline in reversed(self.pipelines):  # the first owns images that the others look at
            await pipeline.stop(hurry)
