"""The kinds of load: when requests arrive, and how many."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.scenario.keys import MAX_CAPACITY, FileName, Keys
from harness.scenario.units import Duration, Rate


class AnyLoad(Keys):
    """What every load has."""

    requests: int | None = Field(default=None, ge=1, le=50_000_000)
    """Measured requests. Give this or `duration`."""
    duration: Duration | None = Field(default=None, gt=0)
    """Time during which requests arrive, counted behind the warm-up. Give this or `requests`."""
    warmup: int = Field(default=20, ge=0)
    """Requests that run first, under the same load, and are kept apart."""
    seed: int = Field(default=1, ge=0)
    """Of everything that is drawn: arrivals, images, service times and random weights each get a seed of their own."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.requests is not None and self.duration is not None:
            raise ValueError("requests and duration exclude one another")
        if self.requests is None and self.duration is None and not isinstance(self, Trace):
            raise ValueError("requests or duration is needed")
        return self


class _Open(AnyLoad):
    rate: Rate | None = None
    """Offered load. Give this or `utilisation`."""
    utilisation: float | None = Field(default=None, gt=0, le=10)
    """Offered load as a fraction of the capacity that a short saturated calibration finds first, on this machine."""
    calibration: Duration = Field(default=4_000_000_000, gt=0)
    """How long that calibration saturates the pipeline. It ends sooner once it has offered some 20,000 requests."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.rate is not None and self.utilisation is not None:
            raise ValueError("rate and utilisation exclude one another")
        if self.rate is None and self.utilisation is None and not isinstance(self, Trace):
            raise ValueError("rate (such as 20/s) or utilisation (such as 0.6) is needed")
        return self


class Constant(_Open):
    """Arrivals at equal distances."""

    arrivals: Literal["constant"] = "constant"


class Poisson(_Open):
    """Independent arrivals: exponential gaps."""

    arrivals: Literal["poisson"] = "poisson"


class Gamma(_Open):
    """Gamma gaps: more regular than poisson with `cv` below 1, burstier above."""

    arrivals: Literal["gamma"] = "gamma"
    cv: float = Field(gt=0, le=100)
    """Coefficient of variation of the gaps."""


class Bursts(_Open):
    """On and off periods of exponential length; poisson arrivals in the on periods (interrupted Poisson process)."""

    arrivals: Literal["bursts"] = "bursts"
    on_time: Duration = Field(default=100_000_000, gt=0)
    """Mean length of an on period."""
    off_time: Duration = 400_000_000
    """Mean length of an off period. `rate` stays the mean over both."""


class Trace(_Open):
    """Due times from a file. `rate` or `utilisation`, when given, stretches them to that mean rate."""

    arrivals: Literal["trace"] = "trace"
    file: Annotated[str, FileName()]
    """Seconds since the start, one a line, ascending; `#` starts a comment. A relative name counts from the scenario
    file's folder."""


class Closed(AnyLoad):
    """A fixed number of requests in flight: the next is due when one completes."""

    arrivals: Literal["closed"] = "closed"
    concurrency: int = Field(default=1, ge=1, le=MAX_CAPACITY)
    """Requests in flight. 1 is the classic one-at-a-time benchmark."""


OpenLoad = Constant | Poisson | Gamma | Bursts | Trace
Load = Annotated[OpenLoad | Closed, Field(discriminator="arrivals")]


def load_models() -> dict[str, type[AnyLoad]]:
    """The kinds of load by name."""
    kinds = (Constant, Poisson, Gamma, Bursts, Trace, Closed)
    return {kind.model_fields["arrivals"].default: kind for kind in kinds}
