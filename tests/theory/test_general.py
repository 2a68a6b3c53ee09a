import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import theory
from harness.theory import NoSteadyState, general
from tests.properties import holds
from tests.theory.queues_peer import share_and_error, sojourns

REQUESTS = 1_000_000
QUANTILES = (0.5, 0.9, 0.99, 0.9999)


def exponential_points(n):
    """n equally likely points whose distribution approaches the exponential one with mean 1."""
    points = -np.log1p(-(np.arange(n) + 0.5) / n)
    return points / points.mean()


def erlang_series(load, t):
    """P(W <= t) in M/D/1 with service 1 (Erlang 1909): alternating, good for small t only."""
    return (1 - load) * sum(
        math.exp(load * (t - k)) * (load * (k - t)) ** k / math.factorial(k) for k in range(math.floor(t) + 1)
    )


def test_pollaczek_khinchine_known_values():
    assert theory.mg1_mean(0.8, 1.0, 1.0).waiting_mean_s == pytest.approx(4.0)  # M/M/1
    assert theory.mg1_mean(0.8, 1.0, 0.0).waiting_mean_s == pytest.approx(2.0)  # M/D/1
    assert theory.mg1_mean(0.8, 1.0, 3.0).sojourn_mean_s == pytest.approx(9.0)


@given(st.floats(0.05, 0.95), st.floats(0, 8))
def test_md1_is_erlangs_series(load, t):
    assert theory.md1(load, 1.0).waiting.cdf(t) == pytest.approx(erlang_series(load, t), abs=1e-8)


@holds(10, 60, st.floats(0.02, 0.98), st.floats(1e-3, 1e3))
def test_md1_distribution_has_the_mean_of_its_formula(load, service):
    answer = theory.md1(load / service, service)
    t = np.linspace(0, answer.waiting.quantile_s(1 - 1e-10) + service, 4001)
    area = np.trapezoid([answer.waiting.survival(x) for x in t], t)
    assert area == pytest.approx(answer.waiting_mean_s, rel=5e-3)
    assert answer.sojourn.quantile_s(0.9) == pytest.approx(answer.waiting.quantile_s(0.9) + service, rel=1e-9)


def test_md1_tail_decays_at_lundbergs_rate():
    # theta solves 0.9 (exp(theta) - 1) = theta; far out each service time more costs a factor exp(-theta).
    theta = 0.20713
    assert 0.9 * math.expm1(theta) == pytest.approx(theta, rel=1e-4)
    waiting = theory.md1(0.9, 1.0).waiting
    assert waiting.survival(61.0) / waiting.survival(60.0) == pytest.approx(math.exp(-theta), rel=1e-4)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8, 0.95, 0.99])
def test_empirical_distribution_of_one_value_is_md1(load):
    exact, numerical = theory.md1(load, 1.0), theory.mg1(load, np.ones(1))
    for q in QUANTILES:
        assert numerical.sojourn.quantile_s(q) == pytest.approx(exact.sojourn.quantile_s(q), rel=1e-4)
    assert numerical.waiting_mean_s == pytest.approx(exact.waiting_mean_s)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95])
def test_empirical_distribution_of_exponential_points_approaches_mm1(load):
    exact = theory.mm1(load, 1.0)
    errors = []
    for n in (1_000, 30_000):
        numerical = theory.mg1(load, exponential_points(n))
        errors.append(
            max(abs(numerical.sojourn.quantile_s(q) / exact.sojourn.quantile_s(q) - 1) for q in (0.5, 0.9, 0.99))
        )
    assert errors[1] < 5e-4
    assert errors[1] < errors[0] / 5


@pytest.mark.parametrize("load", [0.5, 0.8])
@pytest.mark.parametrize("name", ["two-point", "lognormal", "measured"])
def test_empirical_distribution_against_simulation(name, load):
    rng = np.random.default_rng(3)
    samples = {
        "two-point": np.array([0.5, 0.5, 0.5, 2.5]),
        "lognormal": np.exp(rng.normal(0, 0.8, 5000)),
        "measured": rng.gamma(20, 0.05, 300) + (rng.random(300) < 0.02) * 4,
    }[name]
    rate = load / samples.mean()
    answer = theory.mg1(rate, samples)
    values = sojourns(rng.exponential(1 / rate, REQUESTS), rng.choice(samples, REQUESTS), 1)
    for q in (0.6, 0.9, 0.99):
        share, error = share_and_error(values, answer.sojourn.quantile_s(q))
        # Where the service time has atoms, so has the sojourn time, and a quantile may stand on one.
        assert abs(share - answer.sojourn.survival(answer.sojourn.quantile_s(q))) < 4 * error + 1e-4
    assert answer.sojourn.mean_s == pytest.approx(values.mean(), rel=0.03)


@pytest.mark.parametrize("samples", [np.array([0.2, 0.2, 0.2, 3.0]), np.exp(np.linspace(-2.5, 2.5, 101))])
def test_a_finer_grid_changes_nothing_that_is_promised(samples, monkeypatch):
    rate = 0.8 / samples.mean()
    coarse = theory.mg1(rate, samples)
    monkeypatch.setattr(general, "STEPS_PER_SERVICE", 2048)
    fine = theory.mg1(rate, samples)
    for q in QUANTILES:
        assert coarse.sojourn.quantile_s(q) == pytest.approx(fine.sojourn.quantile_s(q), rel=1e-4)


@holds(10, 60, st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.floats(0.05, 0.95), st.floats(1e-4, 1e4))
def test_the_unit_of_time_does_not_matter(samples, load, unit):
    array = np.array(samples)
    one = theory.mg1(load / array.mean(), array)
    other = theory.mg1(load / array.mean() / unit, array * unit)
    for q in (0.5, 0.99):
        assert other.waiting.quantile_s(q) == pytest.approx(one.waiting.quantile_s(q) * unit, rel=1e-5, abs=1e-9)


@holds(6, 40, st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.floats(0.05, 0.95))
def test_the_distribution_has_the_mean_of_pollaczek_and_khinchine(samples, load):
    array = np.array(samples)
    answer = theory.mg1(load / array.mean(), array)
    t = np.linspace(0, answer.waiting.quantile_s(1 - 1e-8), 20_001)
    area = np.trapezoid([answer.waiting.survival(x) for x in t], t)
    assert area == pytest.approx(answer.waiting_mean_s, rel=5e-3)
    assert answer.waiting.survival(0.0) == pytest.approx(load)


def test_overload_and_impossible_samples():
    assert theory.md1(11.0, 0.1) == NoSteadyState("M/D/1", pytest.approx(1.1), pytest.approx(1.0))
    assert isinstance(theory.mg1_mean(11.0, 0.1, 1.0), NoSteadyState)
    assert theory.mg1(11.0, np.full(9, 0.1)).growth_rps == pytest.approx(1.0)
    for samples in (np.array([]), np.array([-1.0, 2.0]), np.zeros(3)):
        with pytest.raises(ValueError):
            theory.mg1(0.1, samples)
    with pytest.raises(ValueError):
        theory.mg1_mean(0.1, 1.0, -0.5)
