"""The same seed gives the same arrivals, images and services in every version."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

from harness.plan import Plan
from harness.stages import source
from harness.stages.delay import ServiceTimes
from tests.pipelines import plan

ARRIVALS = {
    "constant": ({"arrivals": "constant"}, 2038229953),
    "poisson": ({"arrivals": "poisson"}, 531801413),
    "gamma": ({"arrivals": "gamma", "cv": 2.0}, 1202655654),
    "bursts": ({"arrivals": "bursts", "on_time": "20 ms", "off_time": "80 ms"}, 2050540489),
}
SERVICES = {
    "exponential": ({"distribution": "exponential", "mean": "3 ms"}, 2395770563),
    "lognormal": ({"distribution": "lognormal", "mean": "3 ms", "cv": 0.5}, 2011577091),
}


def checksum(values: object) -> int:
    """Of whole numbers."""
    return crc32(np.ascontiguousarray(values, np.int64).tobytes())


def microseconds(times_ns: object) -> object:
    """Another machine's logarithm may differ in the last digit, which is far below a nanosecond's thousandth."""
    return np.asarray(times_ns, np.int64) // 1000


def open_plan(load: dict, *stages: dict) -> Plan:
    return plan(*(stages or ({"null": {}},)), load={"rate": "100/s", "requests": 500, "warmup": 20, "seed": 7, **load})


@pytest.mark.parametrize("kind", ARRIVALS)
def test_arrivals(kind: str) -> None:
    load, expected = ARRIVALS[kind]
    assert checksum(microseconds(open_plan(load).due_times(100.0))) == expected


def test_arrivals_of_a_later_block() -> None:
    assert checksum(microseconds(open_plan(ARRIVALS["poisson"][0]).due_times(100.0, 3))) == 1197812776


@pytest.mark.parametrize("law", SERVICES)
def test_services(law: str) -> None:
    options, expected = SERVICES[law]
    planned = open_plan(ARRIVALS["poisson"][0], {"delay": options}, {"delay": options})
    times = [
        [ServiceTimes(stage.options, planned.seed(stage.name))[row] for row in range(5000)]  # type: ignore[arg-type]
        for stage in planned.stages
    ]
    assert checksum(microseconds(times)) == expected


def test_the_choice_and_the_content_of_images() -> None:
    images = {"images": "synthetic", "count": 5, "width": 24, "height": 16}
    planned = plan(
        {"preprocess": {}}, load={"arrivals": "poisson", "rate": "100/s", "requests": 5, "seed": 7}, source=images
    )
    loaded = source.load(planned.scenario.source, planned.seed("content"), planned.seed("images"))
    try:
        assert checksum(loaded.choice) == 3258708224
        assert checksum([loaded[i] for i in range(5)]) == 2420118340
    finally:
        loaded.close()
