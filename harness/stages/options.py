"""What a kind of stage is: a class of options, which says what it makes of its input and builds its workers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.keys import MAX_CAPACITY, STAGE_NAME, Keys
from harness.stages.base import Payload, Stage, StageContext, StageSpec
from harness.units import Cpus, Duration


class Batch(Keys):
    """Dynamic batching: a worker serves up to `max` requests together."""

    max: int = Field(default=1, ge=1, le=4096)
    """Largest batch. 1 turns batching off."""
    timeout: Duration = 0
    """How long the first request that a worker has taken waits for others, at most. 0 takes what is there."""


class StageOptions(Keys):
    """What every stage has. A kind is a subclass with a key `kind: Literal["NAME"] = "NAME"`, `spec` and `build`.

    Its other keys are what a scenario can set; their docstrings become the schema and the reference. It is listed in
    harness.registry, or is the entry point of a plug-in.
    """

    if TYPE_CHECKING:
        kind: str
    words: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Words that a scenario may give in place of the options, and the options that each stands for."""
    instant: ClassVar[bool] = False
    """Whether a service takes no time, so that slots may be returned in groups."""
    given_services: ClassVar[bool] = False
    """Whether `services_ns` tells what a service takes, so that nothing has to be measured for a model of it."""

    name: str = Field(default="", pattern=STAGE_NAME)
    """How the stage is called in results and in `--set stages.NAME...`; its kind, unless given."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes (executor `process`) or threads (`asyncio`) that serve this stage."""
    capacity: int = Field(default=16, ge=1, le=MAX_CAPACITY)
    """Slots of the channel in front of the stage: requests that wait for it and those in its service hold one each."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Compute threads of each worker."""
    cpus: Cpus | None = None
    """CPUs that its workers may run on, all of them on all of these: `2`, `2-3`, `0-1,4` or `[0, 4-6]`. Else any."""

    @abstractmethod
    def spec(self, given: Payload) -> StageSpec:
        """What the stage makes of `given`. Raises ScenarioError when it cannot take that."""

    @abstractmethod
    def build(self, context: StageContext) -> Stage:
        """A worker's instance, not yet open. Libraries that only the work needs are imported from here on."""

    def resolved(self, stages: Sequence[StageOptions]) -> StageOptions:
        """With what it takes from the other stages of the scenario filled in. Raises ScenarioError."""
        return self

    def services_ns(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Service times of `count` requests in ns, shape (count,), for a kind with `given_services`."""
        raise NotImplementedError

    @property
    def torchvision_model(self) -> str | None:
        """The model of torchvision that it runs, if any: `preprocess: auto` takes its recipe."""
        return None

    @property
    def computes(self) -> bool:
        """Whether its service keeps a core busy."""
        return not self.instant

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
