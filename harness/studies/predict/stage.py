"""One stage as a queue, described on the command line, and the sharpest closed form there is for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import theory
from harness.theory import MeanPrediction, NoSteadyState, Prediction

SERVICE_POINTS = 4000


@dataclass(frozen=True)
class OneStage:
    """Poisson arrivals at one stage with gamma distributed service times (cv 0: constant, 1: exponential).

    capacity: requests that may wait and be served at a time; one that finds the stage full waits outside, or is
    dropped when `shed`. adds_s: what each further request of a batch adds to service_s.
    """

    service_s: float
    rate_rps: float
    servers: int = 1
    cv: float = 1.0
    capacity: int = 16
    shed: bool = False
    batch_max: int = 1
    timeout_s: float = 0.0
    adds_s: float = 0.0

    @property
    def batch_s(self) -> float:
        """Mean service time of a full batch."""
        return self.service_s + (self.batch_max - 1) * self.adds_s

    @property
    def saturated_rps(self) -> float:
        """The highest rate that it carries."""
        return self.servers * self.batch_max / self.batch_s

    @property
    def utilisation(self) -> float:
        """Offered rate over the saturated rate."""
        return self.rate_rps / self.saturated_rps

    def closed_form(self) -> Prediction | MeanPrediction | NoSteadyState | None:
        """The sharpest closed form for this stage; None when there is none."""
        rate, service = self.rate_rps, self.service_s
        if self.batch_max > 1:
            if self.servers > 1 or self.cv > 0 or self.timeout_s > 0 or self.shed or self.adds_s == 0:
                return None
            return theory.batch_service(rate, self.adds_s, self.service_s - self.adds_s, self.batch_max)
        if self.shed:
            return theory.mm1k(rate, service, self.capacity) if self.servers == 1 and self.cv == 1 else None
        if self.cv == 1:
            return theory.mm1(rate, service) if self.servers == 1 else theory.mmc(rate, service, self.servers)
        if self.servers > 1:
            return theory.allen_cunneen(rate, service, self.servers, 1.0, self.cv**2)
        return theory.md1(rate, service) if self.cv == 0 else theory.mg1(rate, _gamma_points(service, self.cv))


def _gamma_points(mean_s: float, cv: float) -> NDArray[np.float64]:
    """Return the service time as equally likely points, shape (n,)."""
    from scipy.special import gammaincinv

    middle = (np.arange(SERVICE_POINTS) + 0.5) / SERVICE_POINTS
    points = np.asarray(gammaincinv(cv**-2, middle))
    return np.asarray(points * (mean_s / points.mean()))
