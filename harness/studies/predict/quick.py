"""One stage, described on the command line: what theory and the twin say of it, and its p99 over utilisation."""

from __future__ import annotations

from dataclasses import replace

from harness.scenario.model import Poisson
from harness.studies.predict.document import ClosedForm, CurvePoint, Forecast, OneStageResult
from harness.studies.predict.forecast import LEVELS, Effort, Offered, Saturated, forecast
from harness.studies.predict.stage import OneStage
from harness.theory import MeanPrediction, NoSteadyState, Prediction
from harness.twin import Pipeline, Station
from harness.twin.services import GammaServices

UTILISATIONS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
STAGE = "stage"


def one_stage(given: OneStage, effort: Effort) -> OneStageResult:
    """Closed form and simulation at the given rate, and both over a range of utilisations."""
    brief = replace(effort, replications=10)
    return OneStageResult(
        utilisation=given.utilisation,
        saturated_rps=given.saturated_rps,
        given=given,
        rate_rps=given.rate_rps,
        theory=closed_form(given.closed_form()),
        simulated=_simulated(given, effort),
        curve=tuple(_point(given, utilisation, brief) for utilisation in UTILISATIONS),
        warnings=_warnings(given),
    )


def _point(given: OneStage, utilisation: float, effort: Effort) -> CurvePoint:
    there = replace(given, rate_rps=utilisation * given.saturated_rps)
    theory, simulated = closed_form(there.closed_form()), _simulated(there, effort)
    return CurvePoint(utilisation=utilisation, rate_rps=there.rate_rps, theory=theory, simulated=simulated)


def _simulated(given: OneStage, effort: Effort) -> Forecast:
    services = GammaServices(given.service_s * 1e9, given.cv, given.adds_s * 1e9)
    station = Station(STAGE, given.servers, given.capacity, given.batch_max, round(given.timeout_s * 1e9))
    load = Poisson.model_validate({"requests": effort.requests, "rate": f"{given.rate_rps:.12g}/s"})
    limit = Saturated(given.saturated_rps, {STAGE: 1.0}, {STAGE: float(given.batch_max)})
    offered = Offered(load, given.rate_rps)
    return forecast(Pipeline((station,), given.shed), services, offered, effort, limit=limit).forecast


def closed_form(prediction: Prediction | MeanPrediction | NoSteadyState | None) -> ClosedForm | None:
    """A closed form's answer in ms, under the statistics of a forecast."""
    match prediction:
        case None:
            return None
        case NoSteadyState():
            return ClosedForm(model=prediction.model, kind="exact", e2e_ms=None, text=str(prediction))
        case MeanPrediction():
            latency: dict[str, float | None] = {"mean": prediction.sojourn_mean_s * 1e3, **dict.fromkeys(LEVELS)}
            return ClosedForm(model=prediction.model, kind=prediction.kind, e2e_ms=latency)
        case Prediction():
            quantiles = {key: prediction.sojourn.quantile_s(q) * 1e3 for key, q in LEVELS.items()}
            latency = {"mean": prediction.sojourn.mean_s * 1e3, **quantiles}
            return ClosedForm(model=prediction.model, kind=prediction.kind, e2e_ms=latency, loss=prediction.loss)


def _warnings(given: OneStage) -> tuple[str, ...]:
    if given.batch_max > 1 and given.adds_s == 0:
        return ("a batch is taken to last as long as one request: say with --adds what each further request adds",)
    return ()
