import numpy as np
import pytest

from harness.stats.steady import steady_state, trend
from tests.stats.queues import in_ns, mg1_times


def verdicts(rng, runs, n, utilisation):
    counts = {"steady": 0, "drifting": 0, "saturated": 0}
    for _ in range(runs):
        due, completed = mg1_times(rng, n, utilisation)
        counts[steady_state(in_ns(due), in_ns(completed)).verdict] += 1
    return {verdict: count / runs for verdict, count in counts.items()}


@pytest.mark.parametrize("utilisation, n", [(0.5, 200), (0.8, 400), (0.9, 2000)])
def test_a_steady_queue_is_called_steady(utilisation, n):
    shares = verdicts(np.random.default_rng(1), 300, n, utilisation)
    assert shares["saturated"] <= 0.03
    assert shares["drifting"] <= 0.04


@pytest.mark.parametrize("utilisation, n", [(1.5, 200), (1.1, 2000)])
def test_an_overloaded_queue_is_called_saturated(utilisation, n):
    shares = verdicts(np.random.default_rng(2), 300, n, utilisation)
    assert shares["saturated"] >= 0.95


def test_growth_and_capacity_of_an_overloaded_queue():
    due, completed = mg1_times(np.random.default_rng(3), 20_000, 1.25)
    state = steady_state(in_ns(due), in_ns(completed))
    assert state.verdict == "saturated"
    # 25,000 / 20,000 s of service arrive each second; standard errors are about 1 %.
    assert state.offered_rps == pytest.approx(1.25, rel=0.04)
    assert state.capacity_rps == pytest.approx(1.0, rel=0.04)
    assert state.growth_rps == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("utilisation, verdict", [(0.95, "steady"), (1.05, "saturated")])
def test_a_queue_without_randomness(utilisation, verdict):
    n = 1000
    due, completed = mg1_times(None, n, utilisation, services=np.ones(n), gaps=np.full(n, 1 / utilisation))
    state = steady_state(in_ns(due), in_ns(completed))
    assert state.verdict == verdict
    if verdict == "saturated":
        assert state.capacity_rps == pytest.approx(1.0)
        assert state.growth_rps == pytest.approx(0.05, abs=0.01)


def test_filling_a_pipeline_is_not_growth():
    due = np.arange(200) * 1.0
    completed = due + np.minimum(np.arange(200) + 1, 8)  # eight requests in flight after the eighth
    assert steady_state(in_ns(due), in_ns(completed)).verdict != "saturated"


def test_service_that_slows_down_is_drifting():
    rng = np.random.default_rng(4)
    n = 2000
    due, completed = mg1_times(rng, n, 0.3, services=rng.exponential(np.linspace(0.5, 1.5, n)))
    assert steady_state(in_ns(due), in_ns(completed)).verdict == "drifting"


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(5)
    due, completed = (in_ns(t) for t in mg1_times(rng, 2000, 0.8))
    shuffled = rng.permutation(2000)
    assert steady_state(due[shuffled], completed[shuffled]) == steady_state(due, completed)


def test_two_requests_are_no_error_and_one_is():
    assert steady_state(np.array([0, 10]), np.array([5, 15])).verdict == "steady"
    with pytest.raises(ValueError, match="do not make a run"):
        steady_state(np.array([0]), np.array([5]))
    with pytest.raises(ValueError, match="no length"):
        steady_state(np.array([7, 7]), np.array([9, 9]))


def test_trend_finds_a_slope_and_its_size():
    rng = np.random.default_rng(6)
    result = trend(5.0 + 0.01 * np.arange(1000) + rng.normal(size=1000))
    assert result.p_value < 1e-6
    assert result.slope == pytest.approx(0.01, rel=0.1)


def test_trend_keeps_its_level_under_autocorrelation():
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(400):
        due, completed = mg1_times(rng, 1000, 0.8)
        alarms += trend(completed - due).p_value < 0.05
    assert alarms / 400 <= 0.08


def test_trend_of_a_line_and_of_a_constant():
    assert trend(np.arange(400.0)).p_value == 0.0
    assert trend(np.full(400, 3.0)).p_value == 1.0
    assert trend(np.arange(5.0)).p_value == 1.0  # too short to say
