"""What is known of a run besides its records: how it was loaded and how it ended, what it used, on what machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from harness.documents import DATACLASS, Document, Number

Status = Literal["completed", "failed", "interrupted"]


class LoadFacts(Document):
    """The load on the pipeline."""

    arrivals: str
    """The kind of load, as in the scenario."""
    nominal_rps: Number = None
    """The rate of the arrival schedule, requests/s; null of a closed load."""
    calibrated_capacity_rps: Number
    """The rate that the saturated pipeline carried before the run, requests/s; null where none was needed."""
    concurrency: int | None
    """How many requests a closed load keeps in flight; null of an open one."""


@dataclass(frozen=True)
class InFlight:
    """How many requests were in flight, on average over some moments: as counted, and by the stamps."""

    __pydantic_config__: ClassVar[ConfigDict] = DATACLASS

    moments: int
    """How often they were counted."""
    counted: float
    """The mean of the counts."""
    by_stamps: float
    """The mean at the same moments by the stamps."""
    rate_rps: float
    """Requests accepted per second over that time; a difference over it is one of the mean time in flight."""

    @property
    def apart_s(self) -> float:
        """By how much longer the stamps say that a request was in flight than was counted."""
        return (self.by_stamps - self.counted) / self.rate_rps if self.rate_rps else 0.0


class Recording(Document):
    """What writing the records to the disk cost the load: of a run whose records do not all lie in memory."""

    waits: int
    """How often the producer waited until rows had been written."""
    waited_s: float
    """For how many seconds in all."""


class Change(Document):
    """How far an output is from that of another way to compute it, in normalised units."""

    mean: float
    """The mean absolute difference."""
    largest: float
    """The largest absolute difference."""


class Effective(Document):
    """What a worker read back of itself once it was ready. Stages add keys of their own; all stay in their order."""

    _order: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _keep_order(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        found = handler(given)
        if isinstance(given, Mapping):
            found._order = tuple(given)
        return found

    @model_serializer(mode="wrap")
    def _in_order(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = handler(self)
        return {key: data[key] for key in dict.fromkeys((*self._order, *data)) if key in data}

    threads: int | None = None
    """Compute threads of the stage's own code."""
    library_threads: Mapping[str, int] = {}
    """Compute threads of a library, by its name."""
    cpus: str | None = None
    """CPUs that a pinned worker may run on, as the kernel writes them: 0-1,4."""
    numa_nodes: Sequence[int] = ()
    """The memory nodes of those CPUs."""
    device: str | None = None
    """Where it computes: cpu, or a GPU."""
    scheduling: Mapping[str, Any] = {}
    """How the kernel schedules it: policy, nice value, priority, slice, share."""
    scaled_decode_difference: Change | None = None
    """What decoding JPEG at a reduced scale changes."""


class Memory(Document):
    """Memory by worker, MB of 10**6 bytes. Shared slots and records count in every process that maps them. Null where
    the system does not say."""

    peak_rss_mb: Mapping[str, Number]
    """The highest resident memory."""
    first_rss_mb: Mapping[str, float] = {}
    """Resident memory when the measured requests began."""
    last_rss_mb: Mapping[str, float] = {}
    """Resident memory when it was last looked at."""
    shared_mb: Mapping[str, Number] = {}
    """What of it is shared memory, when it was last looked at."""


class ContextSwitches(Document):
    """Context switches of a worker over its life."""

    voluntary: int | None
    """It waited for something."""
    involuntary: int | None
    """The kernel took the core away."""


class HostActivity(Document):
    """What happened on the machine during the run; null where the system does not count it."""

    seconds: Number = None
    """The time over which it was counted, s."""
    user: Number = None
    """Share of CPU time in programs, of the usable cores."""
    system: Number = None
    """Share in the kernel."""
    idle: Number = None
    """Share in which nothing ran."""
    steal: Number = None
    """Share that the hypervisor gave to others."""
    major_faults: int | None = None
    """Page faults that had to read from a disk."""
    pages_swapped_in: int | None = None
    """Pages read from swap."""
    pages_swapped_out: int | None = None
    """Pages written to swap."""
    context_switches: int | None = None
    """Context switches of the whole machine."""
    throttled_s: Number = None
    """How long the control group's CPU quota held processes up, s."""


class MachineWarning(Document):
    """Something about the machine that harms latency."""

    name: str
    """What it is about."""
    level: str
    """How bad it is: warning or invalid."""
    message: str
    """What was found."""
    advice: str = ""
    """What to do about it."""


class Git(Document):
    """The commit of the code that ran."""

    commit: str
    """Its hash."""
    dirty: bool
    """Whether files differed from it."""


class System(Document):
    """The machine and the software."""

    cpu: str | None = None
    """The processor's model."""
    cores: Number = None
    """Cores that the run could use; a fraction where a CPU quota limits them."""
    python: str | None = None
    """The version of Python."""
    libraries: Mapping[str, str | None] = {}
    """The version of each library that matters; null where it is not installed."""
    git: Git | None = None
    """The commit; null outside a checkout."""
    during_run: HostActivity
    """What happened on the machine during the run."""
    warnings: tuple[MachineWarning, ...] = ()
    """What about the machine harms latency."""


class RunFacts(Document):
    """What is known of a run besides its records."""

    schema_version: int
    """The version of this document's form."""
    name: str
    """The scenario's name."""
    executor: str
    """The executor, as in the scenario."""
    started_at: str
    """When the load began, ISO 8601 with the zone."""
    status: Status
    """How the run ended."""
    scheduled: int | None = None
    """How many measured requests were to be issued; null where only the run could tell."""
    error: str | None = None
    """Why a run failed."""
    load: LoadFacts
    """The load on the pipeline."""
    startup_s: Mapping[str, Mapping[str, float]]
    """Seconds that a stage's workers took to be ready, by stage and part: the slowest worker's."""
    in_flight: InFlight | None = None
    """Requests in flight as counted and by the stamps, for Little's law; null where none were counted."""
    recording: Recording | None = None
    """How often and how long the producer waited for the disk; null in a run saved before 0.2."""
    effective: Mapping[str, Effective]
    """What each worker read back of itself, by its name."""
    memory: Memory
    """Memory by worker."""
    context_switches: Mapping[str, ContextSwitches] = {}
    """Context switches by worker."""
    cpu_wait_s: Mapping[str, float]
    """Seconds for which a worker was ready to run and had no core, by its name."""
    system: System
    """The machine and the software."""
