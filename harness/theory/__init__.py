"""Queueing theory: rates and service times in, predictions out. Pure functions; imports nothing of harness.

`answers` holds what they return, `markovian` the queues with exponential service, `general` the M/G/1 queue and its
deterministic case, `approximations` what is not exact and says so. Times are seconds, rates are requests/s.

A load that a system cannot carry has an answer too: every function returns NoSteadyState for it.
"""

from harness.theory.answers import Distribution, MeanPrediction, NoSteadyState, Prediction
from harness.theory.approximations import allen_cunneen, batch_service, kingman, two_moment_error
from harness.theory.general import md1, mg1, mg1_mean
from harness.theory.markovian import erlang_c, mm1, mm1k, mmc, tandem

__all__ = [
    "Distribution",
    "MeanPrediction",
    "NoSteadyState",
    "Prediction",
    "allen_cunneen",
    "batch_service",
    "erlang_c",
    "kingman",
    "md1",
    "mg1",
    "mg1_mean",
    "mm1",
    "mm1k",
    "mmc",
    "tandem",
    "two_moment_error",
]
