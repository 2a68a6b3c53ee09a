import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from harness import theory
from harness.theory import NoSteadyState
from tests.theory.queues_peer import sojourns


def batch_mean_sojourn(rate, per_request, fixed, largest=None, states=400):
    """Mean sojourn time from the chain of the numbers that wait when a batch ends: an independent derivation."""
    n = np.arange(states)
    chain = np.zeros((states, states))
    held = lasted = 0.0
    spans = []
    for waiting in n:
        present = max(waiting, 1)
        batch = present if largest is None else min(present, largest)
        service = per_request * batch + fixed
        left = present - batch
        arrivals = np.exp(n * math.log(rate * service) - rate * service - gammaln(n + 1))
        chain[waiting, left:] = arrivals[: states - left]
        chain[waiting, -1] += max(1 - chain[waiting].sum(), 0.0)
        spans.append((present * service + rate * service**2 / 2, service + (1 / rate if waiting == 0 else 0.0)))
    system = chain.T - np.eye(states)
    system[-1] = 1.0
    probability = np.linalg.solve(system, np.eye(states)[-1])
    held, lasted = probability @ np.array(spans)
    return held / lasted / rate


@given(st.floats(0.05, 0.95), st.floats(1e-3, 1e2))
def test_kingman_has_the_mean_of_mg1(load, service):
    for scv in (0.0, 0.5, 1.0, 3.0):
        approximate = theory.kingman(load / service, service, 1.0, scv)
        assert approximate.kind == "approximation"
        assert approximate.waiting_mean_s == pytest.approx(theory.mg1_mean(load / service, service, scv).waiting_mean_s)


@given(st.floats(0.05, 0.95), st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_allen_cunneen_is_exact_for_mmc(load, servers):
    exact, approximate = theory.mmc(load * servers, 1.0, servers), theory.allen_cunneen(load * servers, 1.0, servers)
    assert approximate.waiting_mean_s == pytest.approx(exact.waiting_mean_s)
    assert approximate.waiting.quantile_s(0.999) == pytest.approx(exact.waiting.quantile_s(0.999), rel=1e-6)
    assert approximate.sojourn.quantile_s(0.99) == pytest.approx(exact.sojourn.quantile_s(0.99), rel=1e-3)


def test_allen_cunneen_is_near_for_gamma_gaps_and_services():
    rng = np.random.default_rng(5)
    n, load, servers = 1_000_000, 0.85, 2
    gaps, service = rng.gamma(2.0, 0.5 / (load * servers), n), rng.gamma(4.0, 0.25, n)
    values = sojourns(gaps, service, servers)
    answer = theory.allen_cunneen(load * servers, 1.0, servers, 0.5, 0.25)
    assert answer.sojourn.mean_s == pytest.approx(values.mean(), rel=0.1)
    assert answer.sojourn.quantile_s(0.99) == pytest.approx(np.quantile(values, 0.99), rel=0.15)


@pytest.mark.parametrize(
    "load, cv, low, high", [(0.3, 0.0, 0.18, 0.20), (0.5, 0.3, 0.10, 0.12), (0.8, 0.3, 0.04, 0.05)]
)
def test_two_moments_put_the_p99_of_regular_service_too_high_by_what_they_are_said_to(load, cv, low, high):
    rng = np.random.default_rng(6)
    n = 2_000_000
    service = rng.gamma(1 / cv**2, cv**2, n) if cv else np.ones(n)
    simulated = np.quantile(sojourns(rng.exponential(1 / load, n), service, 1), 0.99)
    bias = theory.two_moment_error(load, 1.0, cv**2)
    assert low < bias < high
    answer = theory.allen_cunneen(load, 1.0, 1, 1.0, cv**2)
    assert answer.sojourn.quantile_s(0.99) / simulated - 1 == pytest.approx(bias, abs=0.015)


def test_two_moments_are_exact_for_exponential_service_and_say_nothing_of_an_overload():
    assert theory.two_moment_error(0.7, 1.0, 1.0) == pytest.approx(0.0, abs=0.005)
    assert theory.two_moment_error(1.2, 1.0, 0.5) is None


def test_nothing_random_nothing_waits():
    answer = theory.kingman(0.9, 1.0, 0.0, 0.0)
    assert answer.waiting_mean_s == 0.0
    assert answer.sojourn.quantile_s(0.99) == pytest.approx(1.0)
    assert answer.waiting.quantile_s(0.99) == 0.0


@pytest.mark.parametrize("per_request, fixed", [(0.1, 1.0), (1.0, 0.5), (0.3, 2.0), (1.0, 0.0)])
@pytest.mark.parametrize("load", [0.1, 0.5, 0.8])
def test_the_batch_bound_lies_above_the_exact_mean_and_near(per_request, fixed, load):
    bound = theory.batch_service(load / per_request, per_request, fixed)
    exact = batch_mean_sojourn(load / per_request, per_request, fixed)
    assert bound.kind == "upper bound"
    assert exact <= bound.sojourn_mean_s * (1 + 1e-9)
    assert bound.sojourn_mean_s <= 1.2 * exact


def test_a_largest_batch_is_only_approximated():
    answer = theory.batch_service(0.37, 1.0, 5.0, largest_batch=8)
    assert answer.kind == "approximation"
    assert answer.sojourn_mean_s == pytest.approx(batch_mean_sojourn(0.37, 1.0, 5.0, 8), rel=0.05)


def test_overload_and_impossible_arguments():
    assert isinstance(theory.kingman(1.2, 1.0), NoSteadyState)
    assert theory.allen_cunneen(2.5, 1.0, 2).growth_rps == pytest.approx(0.5)
    assert isinstance(theory.batch_service(1.0, 0.5, 5.0, largest_batch=8), NoSteadyState)
    assert not isinstance(theory.batch_service(1.0, 0.5, 5.0), NoSteadyState)
    for call in (
        lambda: theory.kingman(0.5, 1.0, -1.0),
        lambda: theory.batch_service(1.0, 0.1, -1.0),
        lambda: theory.batch_service(1.0, 0.1, 1.0, 0),
    ):
        with pytest.raises(ValueError):
            call()
