import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import theory
from harness.theory import NoSteadyState
from tests.theory.queues_peer import accepted_sojourns, share_and_error, sojourns

REQUESTS = 1_000_000
shares = st.floats(0.01, 0.999)
loads = st.floats(0.02, 0.97)
services = st.floats(1e-4, 1e2)


def agrees(prediction, values, quantiles=(0.5, 0.9, 0.99)):
    """Whether the simulated share beyond each predicted quantile is right, within four standard errors."""
    for q in quantiles:
        share, error = share_and_error(values, prediction.sojourn.quantile_s(q))
        assert abs(share - (1 - q)) < 4 * error


def test_mm1_known_values():
    answer = theory.mm1(rate_rps=8.0, service_s=0.1)
    assert answer.utilisation == pytest.approx(0.8)
    assert answer.sojourn.mean_s == pytest.approx(0.5)
    assert answer.waiting_mean_s == pytest.approx(0.4)
    assert answer.sojourn.quantile_s(0.99) == pytest.approx(math.log(100) / 2)
    assert answer.waiting.quantile_s(0.5) == pytest.approx(math.log(0.8 / 0.5) / 2)
    assert answer.waiting.quantile_s(0.1) == 0.0  # two in ten do not wait
    assert answer.in_system == pytest.approx(4.0)


def test_erlang_c_known_values():
    assert theory.erlang_c(0.8, 1) == pytest.approx(0.8)
    assert theory.erlang_c(1.0, 2) == pytest.approx(1 / 3)
    assert theory.erlang_c(2.0, 3) == pytest.approx(4 / 9)
    assert theory.erlang_c(900.0, 1000) < 1e-3  # no overflow


@given(loads, services)
def test_one_server_is_mm1(load, service):
    one, many = theory.mm1(load / service, service), theory.mmc(load / service, service, 1)
    for q in (0.1, 0.5, 0.9, 0.99, 0.9999):
        assert many.sojourn.quantile_s(q) == pytest.approx(one.sojourn.quantile_s(q), rel=1e-9)
    assert many.waiting_mean_s == pytest.approx(one.waiting_mean_s)


@settings(max_examples=50, deadline=None)
@given(loads, services, st.integers(1, 16), shares)
def test_quantile_and_cdf_are_inverse(load, service, servers, q):
    for answer in (
        theory.mmc(servers * load / service, service, servers),
        theory.mm1k(load / service, service, servers),
        theory.tandem(load / service, [service * (i + 1) / servers for i in range(servers)]),
    ):
        assert answer.sojourn.cdf(answer.sojourn.quantile_s(q)) == pytest.approx(q, abs=1e-9)
        assert answer.sojourn.cdf(0.0) == pytest.approx(0.0, abs=1e-12)
        assert answer.sojourn.cdf(-1.0) == 0.0


@settings(max_examples=15, deadline=None)
@given(loads, services, st.integers(1, 8))
def test_the_mean_is_the_integral_of_the_survival_function(load, service, servers):
    for answer in (
        theory.mmc(servers * load / service, service, servers),
        theory.mm1k(1.5 * load / service, service, servers),
        theory.tandem(load / service, [service] * servers),
    ):
        t = np.linspace(0, answer.sojourn.quantile_s(1 - 1e-9), 601)
        area = np.trapezoid([answer.sojourn.survival(x) for x in t], t)
        assert area == pytest.approx(answer.sojourn.mean_s, rel=2e-3)


@pytest.mark.parametrize("servers, load", [(1, 0.8), (2, 0.5), (2, 0.8), (4, 0.9)])
def test_mmc_against_simulation(servers, load):
    rng = np.random.default_rng(servers)
    gaps = rng.exponential(1 / (load * servers), REQUESTS)
    agrees(theory.mmc(load * servers, 1.0, servers), sojourns(gaps, rng.exponential(1.0, REQUESTS), servers))


@pytest.mark.parametrize("capacity, load", [(1, 0.5), (4, 0.8), (16, 0.95), (5, 1.0), (5, 1.5)])
def test_mm1k_against_simulation(capacity, load):
    rng = np.random.default_rng(capacity)
    values = accepted_sojourns(rng.exponential(1 / load, REQUESTS), rng.exponential(1.0, REQUESTS), capacity)
    answer = theory.mm1k(load, 1.0, capacity)
    lost, error = share_and_error(np.isnan(values).astype(float), 0.5)
    assert abs(lost - answer.loss) < 4 * error
    agrees(answer, values[~np.isnan(values)])
    assert answer.throughput_rps == pytest.approx(load * (1 - answer.loss))
    assert answer.utilisation == pytest.approx(answer.throughput_rps)  # mean service 1


def test_mm1k_without_waiting_is_service_alone():
    answer = theory.mm1k(3.0, 1.0, 1)
    assert answer.loss == pytest.approx(0.75)
    assert answer.sojourn.quantile_s(0.99) == pytest.approx(math.log(100))
    assert answer.waiting.quantile_s(0.9999) == 0.0


def test_mm1k_with_room_for_all_is_mm1():
    wide, unlimited = theory.mm1k(0.8, 1.0, 400), theory.mm1(0.8, 1.0)
    assert wide.sojourn.quantile_s(0.999) == pytest.approx(unlimited.sojourn.quantile_s(0.999), rel=1e-9)
    assert wide.loss < 1e-30


@pytest.mark.parametrize("stages", [[1.0, 1.0], [1.0, 0.5, 0.9], [0.3]])
def test_tandem_against_simulation(stages):
    rng = np.random.default_rng(len(stages))
    arrivals = np.cumsum(rng.exponential(1 / 0.7, REQUESTS))
    times = arrivals
    for service in stages:
        times = times + sojourns(np.diff(times, prepend=0.0), rng.exponential(service, REQUESTS), 1)
    agrees(theory.tandem(0.7, stages), times - arrivals)


def test_tandem_with_equal_rates_is_erlang():
    from scipy.special import gammaincinv

    answer = theory.tandem(0.5, [1.0] * 5)
    for q in (0.01, 0.5, 0.99, 0.9999):
        assert answer.sojourn.quantile_s(q) == pytest.approx(2 * gammaincinv(5, q), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1e-6))
def test_tandem_does_not_jump_where_rates_become_equal(apart):
    equal, near = theory.tandem(0.5, [1.0, 1.0]), theory.tandem(0.5, [1.0, 1.0 - apart])
    assert near.sojourn.quantile_s(0.99) == pytest.approx(equal.sojourn.quantile_s(0.99), rel=1e-5)


def test_tandem_with_rates_far_apart():
    answer = theory.tandem(1.0, [0.5, 1e-6])
    assert answer.sojourn.quantile_s(0.99) == pytest.approx(math.log(100), rel=1e-5)


def test_overload_is_an_answer():
    for answer, growth in (
        (theory.mm1(12.0, 0.1), 2.0),
        (theory.mmc(50.0, 0.1, 4), 10.0),
        (theory.tandem(12.0, [0.05, 0.1]), 2.0),
        (theory.mm1(10.0, 0.1), 0.0),
    ):
        assert isinstance(answer, NoSteadyState)
        assert answer.utilisation >= 1.0
        assert answer.growth_rps == pytest.approx(growth)
        assert "no steady state" in str(answer)
    assert "grows by 2/s" in str(theory.mm1(12.0, 0.1))


def test_impossible_queues_are_refused():
    for call in (
        lambda: theory.mm1(-1.0, 0.1),
        lambda: theory.mm1(1.0, math.nan),
        lambda: theory.mmc(1.0, 0.1, 0),
        lambda: theory.mm1k(1.0, 0.1, 0),
        lambda: theory.tandem(1.0, []),
        lambda: theory.erlang_c(2.0, 2),
        lambda: theory.mm1(1.0, 0.1).sojourn.quantile_s(1.0),
    ):
        with pytest.raises(ValueError):
            call()
