"""What the tests of screens and plots share."""

from __future__ import annotations

import pytest

from harness.studies.sweep.result import result
from tests import sweeps


@pytest.fixture(scope="session")
def line(tmp_path_factory):
    """A sweep with steady and saturated variants, one that failed and one that never ran, and the twin beside it."""
    settings = ("slo={p99: 100 ms}",)
    grid = "stages.second.batch.max=1,2,4", "load.rate=40/s,80/s,140/s"
    there = sweeps.begin(tmp_path_factory.mktemp("line"), *grid, overrides=settings)
    trials = sorted(there.spec.order)
    sweeps.pretend(there, trials[:7])
    there.record(trials[7], "failed", None, "no memory\nat all", None)
    return there, result(there, simulate=True)
