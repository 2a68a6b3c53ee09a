"""What an executor is called by and what those who use it have to know of it, before any of its code is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.registry import EXECUTORS, attribute

if TYPE_CHECKING:
    from harness.executors.base import Executor
    from harness.plan import Plan
    from harness.stages.source import ImageSet


@dataclass(frozen=True)
class ExecutorKind:
    """An executor and its traits. Listed in harness.registry, or the entry point of a plug-in."""

    implementation: str
    """`module:Class`, called with a Plan and its images; the class is an Executor (see base.py)."""
    shares_memory: bool = False
    """Stages work in the process that supervises: they share its libraries' threads, and what they start is its own."""
    shares_interpreter: bool = False
    """Stages hold the interpreter lock of the process that supervises while they work."""
    precise_timers: bool = False
    """Requests wait for their time in the supervisor's event loop, which needs timers finer than a millisecond."""
    spans_hosts: bool = False
    """Workers may be on other hosts, so that the counters of this one do not tell what disturbed them."""

    def make(self, plan: Plan, images: ImageSet | None) -> Executor:
        """An executor of a Plan, not yet started."""
        executor: Executor = attribute(self.implementation)(plan, images)
        return executor


def kind_of(plan: Plan) -> ExecutorKind:
    """That of the executor that a Plan's scenario names."""
    kind: ExecutorKind = EXECUTORS[plan.scenario.executor]
    return kind
