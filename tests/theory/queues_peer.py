"""A peer of the formulas that shares nothing with them: compiled queue recursions, and standard errors from batches."""

import math

import numba
import numpy as np


@numba.njit
def sojourns(gaps, services, servers):
    """Sojourn times of a first-come-first-served queue: a request takes the server that is free first."""
    free = np.zeros(servers)
    out = np.empty(len(gaps))
    now = 0.0
    for i in range(len(gaps)):
        now += gaps[i]
        first = 0
        for k in range(1, servers):
            if free[k] < free[first]:
                first = k
        free[first] = max(free[first], now) + services[i]
        out[i] = free[first] - now
    return out


@numba.njit
def accepted_sojourns(gaps, services, capacity):
    """Sojourn times of a single server with `capacity` places; NaN for a refused request."""
    leave = np.zeros(capacity)  # departure times of the last accepted requests
    count, now, last = 0, 0.0, 0.0
    out = np.empty(len(gaps))
    for i in range(len(gaps)):
        now += gaps[i]
        if count >= capacity and leave[count % capacity] > now:
            out[i] = np.nan
            continue
        last = max(last, now) + services[i]
        leave[count % capacity] = last
        count += 1
        out[i] = last - now
    return out


def share_and_error(values, limit, batches=50):
    """Share of values above limit, and its standard error from means of long batches."""
    above = (values > limit).astype(float)
    means = above[: len(above) // batches * batches].reshape(batches, -1).mean(axis=1)
    return means.mean(), means.std(ddof=1) / math.sqrt(batches)
