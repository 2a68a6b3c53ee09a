"""The twin as one function of arrays: exact recursions as oracles, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import harness
from harness.twin import NEVER, simulate
from tests.properties import holds

GAPS = st.lists(st.integers(0, 50), min_size=1, max_size=30)


def services(count: int, stages: int = 1, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(1, 60, (count, stages))


@holds(20, 300, GAPS, st.integers(0, 100))
def test_one_server_is_lindleys_recursion(gaps: list[int], seed: int) -> None:
    due, service = np.cumsum(gaps), services(len(gaps), seed=seed)
    stamps = simulate(due, service)
    done = np.zeros(len(gaps), np.int64)
    for i in range(len(gaps)):
        done[i] = max(due[i], done[i - 1] if i else 0) + service[i, 0]
    assert np.array_equal(stamps.done[:, 0], done)
    assert np.array_equal(stamps.sojourn, done - due)


@holds(20, 300, GAPS, st.integers(1, 4), st.integers(0, 100))
def test_several_servers_are_kiefer_and_wolfowitz(gaps: list[int], workers: int, seed: int) -> None:
    due, service = np.cumsum(gaps), services(len(gaps), seed=seed)
    free, done = [0] * workers, []
    for at, takes in zip(due, service[:, 0], strict=True):
        free.sort()
        free[0] = max(free[0], int(at)) + int(takes)
        done.append(free[0])
    assert simulate(due, service, workers=workers).done[:, 0].tolist() == done


@holds(20, 300, GAPS, st.integers(0, 100))
def test_a_tandem_blocks_before_service(gaps: list[int], seed: int) -> None:
    """With one slot in front of the second stage a service of the first begins when the second is rid of the last."""
    due, service = np.cumsum(gaps), services(len(gaps), 2, seed)
    first = second = 0
    done = []
    for at, (a, b) in zip(due, service, strict=True):
        started = max(int(at), first, second)
        first = started + int(a)
        second = first + int(b)
        done.append((first, second))
    stamps = simulate(due, service, capacity=[None, 1])
    assert stamps.done.tolist() == [list(pair) for pair in done]


def test_a_batch_takes_what_its_first_request_says_of_its_size() -> None:
    service = np.array([[[10, 12, 13]]] * 4)
    stamps = simulate([0, 0, 0, 0], service, batch=3)
    assert stamps.batch[:, 0].tolist() == [0, 0, 0, 3]
    assert stamps.done[:, 0].tolist() == [13, 13, 13, 23]
    held = simulate([0, 4], service[:2], batch=3, timeout_ns=5)
    assert held.started[:, 0].tolist() == [5, 5]


def test_a_closed_load_keeps_its_requests_in_flight() -> None:
    stamps = simulate(None, [[5, 5]] * 4, concurrency=2)
    assert stamps.due.tolist() == [0, 0, 10, 15]
    assert stamps.done[:, 1].tolist() == [10, 15, 20, 25]


def test_a_request_that_is_dropped_has_no_stamps_but_when_it_was_offered() -> None:
    stamps = simulate([0, 1, 2], [[10, 1]] * 3, capacity=[1, None], shed=True)
    assert stamps.completed.tolist() == [True, False, False]
    assert stamps.offered[:, 0].tolist() == [0, 1, 2]
    assert stamps.sojourn.tolist() == [11, NEVER, NEVER]
    for field in (stamps.accepted, stamps.taken, stamps.started, stamps.done, stamps.worker, stamps.batch):
        assert (field[1:] == NEVER).all() and (field[0] != NEVER).all()


def test_losses_are_those_of_erlang() -> None:
    """M/M/1/K: P(loss) = (1 - rho) rho^K / (1 - rho^(K + 1))."""
    rng = np.random.default_rng(1)
    due = np.rint(np.cumsum(rng.exponential(1e6, 200_000)))
    service = np.maximum(np.rint(rng.exponential(0.8e6, 200_000)), 1)
    lost = 1 - simulate(due, service, capacity=5, shed=True).completed.mean()
    assert lost == pytest.approx(0.2 * 0.8**5 / (1 - 0.8**6), abs=0.004)


def test_nothing_gives_nothing() -> None:
    stamps = simulate([], np.empty((0, 2), np.int64))
    assert len(stamps) == 0 and stamps.done.shape == (0, 2)


def test_it_is_public() -> None:
    assert harness.twin.simulate is simulate


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (([0, 1], [[1]]), {}, "shape"),
        (([1, 0], [1, 1]), {}, "ascends"),
        (([-1], [1]), {}, "0 or later"),
        (([0], [0]), {}, "at least 1 ns"),
        (([0], [0.5]), {}, "whole numbers"),
        (([0], [[[[1]]]]), {}, "shape"),
        (([0], [[1, 1]]), {"workers": [1]}, "each of 2 stages"),
        (([0], [1]), {"workers": 0}, "needs a worker"),
        (([0], [1]), {"capacity": 1, "batch": 2}, "largest batch"),
        ((None, [1]), {}, "either due times or a concurrency"),
        (([0], [1]), {"concurrency": 1}, "either due times or a concurrency"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments: Any, options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        simulate(*arguments, **options)
