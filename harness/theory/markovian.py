"""Exact results for Poisson arrivals and exponential service: M/M/1, M/M/c, M/M/1/K and M/M/1 queues in tandem."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.theory.answers import Distribution, NoSteadyState, Prediction, require_positive


def mm1(rate_rps: float, service_s: float) -> Prediction | NoSteadyState:
    """M/M/1, first come first served: the sojourn time is exponential with rate mu - lambda (Kleinrock 1975, 5.118)."""
    answer = mmc(rate_rps, service_s, 1)
    if isinstance(answer, NoSteadyState):
        return NoSteadyState("M/M/1", answer.utilisation, answer.growth_rps)
    drain = 1.0 / service_s - rate_rps
    return Prediction(
        model="M/M/1",
        kind="exact",
        utilisation=answer.utilisation,
        throughput_rps=rate_rps,
        waiting_mean_s=answer.waiting_mean_s,
        waiting=answer.waiting,
        sojourn=Distribution(1.0 / drain, lambda t: math.exp(-drain * t)),
    )


def mmc(rate_rps: float, service_s: float, servers: int) -> Prediction | NoSteadyState:
    """M/M/c, first come first served, from one queue.

    P(W > t) = C exp(-(c mu - lambda) t) with C of `erlang_c` (Erlang 1917; Kleinrock 1975, section 3.5). The sojourn
    time is W and an independent exponential service time: with probability C a sum of two exponential times.
    """
    _check_servers(servers)
    require_positive(rate_rps=rate_rps, service_s=service_s)
    model, mu = f"M/M/{servers}", 1.0 / service_s
    utilisation = rate_rps * service_s / servers
    if utilisation >= 1.0:
        return NoSteadyState(model, utilisation, rate_rps - servers * mu)
    delayed = erlang_c(rate_rps * service_s, servers)
    drain = servers * mu - rate_rps
    mean_wait = delayed / drain

    def sojourn(t: float) -> float:
        return (1.0 - delayed) * math.exp(-mu * t) + delayed * _sum_of_two(drain, mu, t)

    return Prediction(
        model=model,
        kind="exact",
        utilisation=utilisation,
        throughput_rps=rate_rps,
        waiting_mean_s=mean_wait,
        waiting=Distribution(mean_wait, lambda t: delayed * math.exp(-drain * t)),
        sojourn=Distribution(mean_wait + service_s, sojourn),
    )


def erlang_c(offered: float, servers: int) -> float:
    """Return the probability that a request has to wait in M/M/c with `offered` = lambda / mu < c (Erlang 1917).

    Through Erlang's loss formula by its recursion over the number of servers, which cannot overflow.
    """
    _check_servers(servers)
    if not 0.0 <= offered < servers:
        raise ValueError(f"{servers} servers cannot carry an offered load of {offered}")
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked / (1.0 - offered / servers * (1.0 - blocked))


def mm1k(rate_rps: float, service_s: float, capacity: int) -> Prediction:
    """M/M/1/K: at most `capacity` requests in the system, waiting and in service; others are refused.

    State probabilities proportional to rho^n (Kleinrock 1975, section 3.6), at any load. An accepted request finds
    n < K others with these probabilities, rescaled, and stays for n + 1 exponential services: a mixture of Erlang
    distributions.
    """
    from scipy.special import gammaincc

    require_positive(rate_rps=rate_rps, service_s=service_s)
    if capacity < 1:
        raise ValueError(f"the capacity must be at least 1, not {capacity}")
    logarithms = np.arange(capacity + 1) * math.log(rate_rps * service_s)
    weights = np.exp(logarithms - logarithms.max())
    probability = weights / weights.sum()
    loss = float(probability[-1])
    found = probability[:-1] / probability[:-1].sum()
    ahead = np.arange(capacity)
    mean_wait = float(found @ ahead) * service_s

    def sojourn(t: float) -> float:
        return float(found @ gammaincc(ahead + 1, t / service_s))

    def waiting(t: float) -> float:
        return float(found[1:] @ gammaincc(ahead[1:], t / service_s))

    return Prediction(
        model=f"M/M/1/{capacity}",
        kind="exact",
        utilisation=1.0 - float(probability[0]),
        throughput_rps=rate_rps * float(probability[:-1].sum()),
        waiting_mean_s=mean_wait,
        waiting=Distribution(mean_wait, waiting),
        sojourn=Distribution(mean_wait + service_s, sojourn),
        loss=loss,
    )


def tandem(rate_rps: float, services_s: Sequence[float]) -> Prediction | NoSteadyState:
    """M/M/1 queues one after another, unlimited buffers, given the mean service time of each.

    Each queue is an M/M/1 of its own (Burke 1956) and the sojourn times of a request at them are independent (Reich
    1957), so their sum is hypoexponential with the rates mu_i - lambda. The waiting times are not independent (Burke
    1964): only the mean of their sum is given.
    """
    require_positive(rate_rps=rate_rps, **{f"services_s[{i}]": s for i, s in enumerate(services_s)})
    if not services_s:
        raise ValueError("a tandem has at least one stage")
    slowest = max(services_s)
    if rate_rps * slowest >= 1.0:
        return NoSteadyState("tandem M/M/1", rate_rps * slowest, rate_rps - 1.0 / slowest)
    drains = np.array([1.0 / s - rate_rps for s in services_s])
    mean = float((1.0 / drains).sum())
    return Prediction(
        model="tandem M/M/1",
        kind="exact",
        utilisation=rate_rps * slowest,
        throughput_rps=rate_rps,
        waiting_mean_s=mean - sum(services_s),
        sojourn=Distribution(mean, lambda t: _hypoexponential(drains, t)),
    )


def _sum_of_two(a: float, b: float, t: float) -> float:
    """Return P(X + Y > t) for independent exponential X, Y with rates a and b, equal or not."""
    slow, gap = min(a, b), abs(b - a)
    stretch = -math.expm1(-gap * t) / gap if gap * t > 0.0 else t
    return math.exp(-slow * t) * (1.0 + slow * stretch)


def _hypoexponential(rates: NDArray[np.float64], t: float) -> float:
    """Return the probability that a sum of independent exponential times with these rates, shape (k,), exceeds t.

    The first row of exp(Q t), Q the generator of a chain that passes k phases in turn. Uniformisation (Jensen 1953)
    over a short time and then repeated squaring: only non-negative numbers are added and multiplied, so that equal
    and nearly equal rates lose no digits, as they do in the textbook's partial fractions.
    """
    if t <= 0.0:
        return 1.0
    fastest = float(rates.max())
    doublings = max(math.ceil(math.log2(fastest * t)), 0)
    step = fastest * t / 2.0**doublings
    jump = np.diag(1.0 - rates / fastest) + np.diag(rates[:-1] / fastest, 1)
    term = np.eye(len(rates))
    power = term.copy()
    for n in range(1, 25):  # step <= 1, and 1 / 24! is below 1e-23
        term = term @ jump * (step / n)
        power += term
    power *= math.exp(-step)
    for _ in range(doublings):
        power = power @ power
    return min(float(power[0].sum()), 1.0)


def _check_servers(servers: int) -> None:
    if servers < 1:
        raise ValueError(f"there must be at least 1 server, not {servers}")
