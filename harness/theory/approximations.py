"""Queues without an exact formula: Kingman, Allen-Cunneen, and service in batches. Every answer says what it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.theory.answers import Distribution, Kind, MeanPrediction, NoSteadyState, Prediction, require_positive
from harness.theory.general import mg1
from harness.theory.markovian import erlang_c

SERVICE_POINTS = 2000


def kingman(
    rate_rps: float, service_s: float, arrival_scv: float = 1.0, service_scv: float = 1.0
) -> Prediction | NoSteadyState:
    """G/G/1 from two moments: E[W] = rho / (1 - rho) (ca^2 + cs^2) / 2 E[S], W exponential beyond zero.

    The heavy-traffic limit of Kingman (1961) in the form that is exact for M/G/1's mean. arrival_scv and service_scv
    are squared coefficients of variation (1 for Poisson arrivals, 0 for a constant service time). A positive waiting
    time has the probability rho, as in M/G/1.
    """
    return _two_moments("G/G/1 (Kingman)", rate_rps, service_s, 1, arrival_scv, service_scv)


def allen_cunneen(
    rate_rps: float, service_s: float, servers: int, arrival_scv: float = 1.0, service_scv: float = 1.0
) -> Prediction | NoSteadyState:
    """G/G/c from two moments: the mean waiting time of M/M/c times (ca^2 + cs^2) / 2, with an exponential tail.

    Allen (Probability, Statistics, and Queueing Theory, 1978, section 5.3.5, with Cunneen). The tail is
    P(W > t) = C exp(-C t / E[W]), C the probability of waiting in M/M/c, which is exact for M/M/c; how far it is off
    elsewhere, `two_moment_error` says. Arguments as in `kingman`.
    """
    return _two_moments(f"G/G/{servers} (Allen-Cunneen)", rate_rps, service_s, servers, arrival_scv, service_scv)


def two_moment_error(rate_rps: float, service_s: float, service_scv: float, q: float = 0.99) -> float | None:
    """By how much `allen_cunneen` misses a quantile of the sojourn time where the exact one is known, as a share of it.

    That is M/G/1 with gamma service of these moments. An exponential wait of the right mean is too long in its tail for
    regular service: at utilisations 0.3, 0.5 and 0.8 p99 is 19, 13 and 5 % high for a constant service, 14, 11 and 4 %
    for a coefficient of variation of 0.3; for one of 2 it is 6, 6 and 2 % low. None without a steady state.
    """
    approximate = allen_cunneen(rate_rps, service_s, 1, 1.0, service_scv)
    exact = mg1(rate_rps, _gamma_service(service_s, service_scv)[1])
    if isinstance(approximate, NoSteadyState) or isinstance(exact, NoSteadyState):
        return None
    return approximate.sojourn.quantile_s(q) / exact.sojourn.quantile_s(q) - 1.0


def batch_service(
    rate_rps: float, per_request_s: float, fixed_s: float, largest_batch: int | None = None
) -> MeanPrediction | NoSteadyState:
    """Poisson arrivals at a server that takes all that wait as a batch; b requests take per_request_s b + fixed_s.

    The upper bound of Inoue (Performance Evaluation 147, 2021, theorem 2) on the mean sojourn time: the smaller of
    two, one close at low and one at high load. It holds for batches of unlimited size; with a largest_batch the
    server's limit is respected, and the bound becomes an approximation, which is too low near that limit.
    The server is stable below largest_batch / (per_request_s largest_batch + fixed_s), without limit 1 / per_request_s;
    utilisation is the load as a share of that.
    """
    require_positive(rate_rps=rate_rps, per_request_s=per_request_s)
    if fixed_s < 0.0:
        raise ValueError(f"fixed_s cannot be negative: {fixed_s}")
    if largest_batch is not None and largest_batch < 1:
        raise ValueError(f"a batch holds at least 1 request, not {largest_batch}")
    model = "M/D(b)/1 batch (Inoue)"
    capacity = 1.0 / (per_request_s + (fixed_s / largest_batch if largest_batch else 0.0))
    utilisation = rate_rps / capacity
    if utilisation >= 1.0:
        return NoSteadyState(model, utilisation, rate_rps - capacity)
    a, f = rate_rps * per_request_s, rate_rps * fixed_s
    low_load = (per_request_s + fixed_s) / (2.0 * (1.0 - a)) * (1.0 + 2.0 * f + (1.0 - f) / (1.0 + a))
    high_load = 1.5 * fixed_s / (1.0 - a) + 0.5 * per_request_s * (a + 2.0) / (1.0 - a * a)
    kind: Kind = "upper bound" if largest_batch is None else "approximation"
    return MeanPrediction(model, kind, utilisation, rate_rps, min(low_load, high_load))


def _two_moments(
    model: str, rate_rps: float, service_s: float, servers: int, arrival_scv: float, service_scv: float
) -> Prediction | NoSteadyState:
    require_positive(rate_rps=rate_rps, service_s=service_s)
    if arrival_scv < 0.0 or service_scv < 0.0:
        raise ValueError("a squared coefficient of variation cannot be negative")
    utilisation = rate_rps * service_s / servers
    if utilisation >= 1.0:
        return NoSteadyState(model, utilisation, rate_rps - servers / service_s)
    delayed = erlang_c(rate_rps * service_s, servers)
    mean_wait = delayed * service_s / (servers * (1.0 - utilisation)) * (arrival_scv + service_scv) / 2.0
    decay = delayed / mean_wait if mean_wait > 0.0 else math.inf
    longer, points = _gamma_service(service_s, service_scv)

    def waiting(t: float) -> float:
        return delayed * math.exp(-decay * t) if mean_wait > 0.0 else 0.0

    def sojourn(t: float) -> float:
        if mean_wait == 0.0:
            return longer(t)
        shorter = points[points <= t]
        still_waiting = delayed * float(np.exp(-decay * (t - shorter)).sum()) / points.size
        # What is left of the probability of a service up to t lies between the last point and t.
        rest = 1.0 - longer(t) - shorter.size / points.size
        return longer(t) + still_waiting + delayed * rest

    return Prediction(
        model=model,
        kind="approximation",
        utilisation=utilisation,
        throughput_rps=rate_rps,
        waiting_mean_s=mean_wait,
        waiting=Distribution(mean_wait, waiting),
        sojourn=Distribution(mean_wait + service_s, sojourn),
    )


def _gamma_service(mean_s: float, scv: float) -> tuple[Callable[[float], float], NDArray[np.float64]]:
    """Return a gamma distribution with the given two moments: its survival function, and equally likely points."""
    from scipy.special import gammaincc, gammaincinv

    if scv == 0.0:
        return lambda t: float(t < mean_s), np.array([mean_s])
    shape, scale = 1.0 / scv, scv * mean_s
    middle = (np.arange(SERVICE_POINTS) + 0.5) / SERVICE_POINTS
    return lambda t: float(gammaincc(shape, t / scale)), scale * np.asarray(gammaincinv(shape, middle))
