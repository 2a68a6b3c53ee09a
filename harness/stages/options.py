"""What stages of every kind can be told: name, workers, capacity, threads, batching."""

from __future__ import annotations

from pydantic import Field

from harness.scenario.keys import MAX_CAPACITY, STAGE_NAME, Keys
from harness.scenario.units import Duration


class Batch(Keys):
    """Dynamic batching: a worker serves up to `max` requests together."""

    max: int = Field(default=1, ge=1, le=4096)
    """Largest batch. 1 turns batching off."""
    timeout: Duration = 0
    """How long the first request that a worker has taken waits for others, at most. 0 takes what is there."""


class StageOptions(Keys):
    """What every stage has."""

    name: str = Field(default="", pattern=STAGE_NAME)
    """How the stage is called in results and in `--set stages.NAME...`; its kind, unless given."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes (executor `process`) or threads (`asyncio`) that serve this stage."""
    capacity: int = Field(default=16, ge=1, le=MAX_CAPACITY)
    """Slots of the channel in front of the stage: requests that wait for it and those in its service hold one each."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Compute threads of each worker."""

    @property
    def batching(self) -> Batch:
        """The stage's batching; a stage without it serves one request at a time."""
        return Batch()


class BatchingOptions(StageOptions):
    """What a stage has that can serve several requests together."""

    batch: Batch = Batch()
    """Dynamic batching."""

    @property
    def batching(self) -> Batch:
        """As it was set."""
        return self.batch
