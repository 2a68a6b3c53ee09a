"""One stage, described on the command line: what theory and the twin say of it, and its p99 over utilisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import theory
from harness.scenario.model import Poisson
from harness.studies.predict.forecast import LEVELS, Effort, Offered, Saturated, forecast
from harness.theory import MeanPrediction, NoSteadyState, Prediction
from harness.twin import Pipeline, Station
from harness.twin.services import GammaServices

UTILISATIONS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SERVICE_POINTS = 4000
STAGE = "stage"


@dataclass(frozen=True)
class OneStage:
    """Poisson arrivals at one stage with gamma distributed service (cv 0: constant, 1: exponential).

    capacity bounds what waits and is served together; a request that finds it full waits outside, or is dropped when
    `shed`. adds_s: what each further request of a batch adds to service_s.
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
        """Mean service of a full batch."""
        return self.service_s + (self.batch_max - 1) * self.adds_s

    @property
    def capacity_rps(self) -> float:
        """What it carries at most."""
        return self.servers * self.batch_max / self.batch_s

    @property
    def utilisation(self) -> float:
        """Offered load as a share of that."""
        return self.rate_rps / self.capacity_rps

    def closed_form(self) -> Prediction | MeanPrediction | NoSteadyState | None:
        """The sharpest closed form there is for it; None when there is none."""
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


def answer(given: OneStage, effort: Effort) -> dict[str, Any]:
    """Closed form and simulation at the given rate, and both over a range of utilisations."""
    curve = []
    for utilisation in UTILISATIONS:
        there = replace(given, rate_rps=utilisation * given.capacity_rps)
        curve.append({"utilisation": utilisation, **_both(there, replace(effort, replications=10))})
    return {
        "kind": "quick",
        "utilisation": given.utilisation,
        "capacity_rps": given.capacity_rps,
        "given": {field: getattr(given, field) for field in given.__dataclass_fields__},
        **_both(given, effort),
        "curve": curve,
        "warnings": _warnings(given),
    }


def _both(given: OneStage, effort: Effort) -> dict[str, Any]:
    services = GammaServices(given.service_s * 1e9, given.cv, given.adds_s * 1e9)
    station = Station(STAGE, given.servers, given.capacity, given.batch_max, round(given.timeout_s * 1e9))
    load = Poisson.model_validate({"requests": effort.requests, "rate": f"{given.rate_rps:.12g}/s"})
    limit = Saturated(given.capacity_rps, {STAGE: 1.0}, {STAGE: float(given.batch_max)})
    offered = Offered(load, given.rate_rps)
    simulated = forecast(Pipeline((station,), given.shed), services, offered, effort, limit=limit)
    return {"rate_rps": given.rate_rps, "theory": describe(given.closed_form()), "simulated": simulated.as_dict()}


def describe(prediction: Prediction | MeanPrediction | NoSteadyState | None) -> dict[str, Any] | None:
    """What a closed form says, in ms under the keys of a forecast."""
    match prediction:
        case None:
            return None
        case NoSteadyState():
            return {"model": prediction.model, "kind": "exact", "e2e_ms": None, "text": str(prediction)}
        case MeanPrediction():
            latency: dict[str, float | None] = {"mean": prediction.sojourn_mean_s * 1e3, **dict.fromkeys(LEVELS)}
        case _:
            quantiles = {key: prediction.sojourn.quantile_s(q) * 1e3 for key, q in LEVELS.items()}
            latency = {"mean": prediction.sojourn.mean_s * 1e3, **quantiles}
    loss = getattr(prediction, "loss", 0.0)
    return {"model": prediction.model, "kind": prediction.kind, "e2e_ms": latency, "loss": loss}


def _warnings(given: OneStage) -> Sequence[str]:
    said = []
    if given.batch_max > 1 and given.adds_s == 0:
        said.append("a batch is taken to last as long as one request: say with --adds what each further request adds")
    return said


def _gamma_points(mean_s: float, cv: float) -> NDArray[np.float64]:
    """Return the service time as equally likely points, shape (n,)."""
    from scipy.special import gammaincinv

    middle = (np.arange(SERVICE_POINTS) + 0.5) / SERVICE_POINTS
    points = np.asarray(gammaincinv(cv**-2, middle))
    return np.asarray(points * (mean_s / points.mean()))
