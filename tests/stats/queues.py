"""Simulated queues for the tests: the Lindley recursion in NumPy, with random numbers of its own."""

import numpy as np


def mg1_times(rng, n, utilisation, services=None, gaps=None):
    """Return due and completed times, float64 shape (n,), of a first-come-first-served queue that starts empty.

    Mean service time 1; exponential services and gaps unless given.
    """
    services = rng.exponential(1.0, n) if services is None else services
    gaps = rng.exponential(1.0 / utilisation, n) if gaps is None else gaps
    due = np.cumsum(gaps)
    work = np.cumsum(services)
    # The last time at which the server was idle decides: completed = max over k <= i of due_k + work_i - work_(k-1).
    completed = np.maximum.accumulate(due - work + services) + work
    return due, completed


def in_ns(seconds):
    return np.rint(seconds * 1e9).astype(np.int64)
