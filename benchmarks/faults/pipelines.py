"""Random scenarios: quick to start, a second or so of load, every shape of pipeline that null and delay stages make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import yaml

STARTUP_S, PROGRESS_S = 30.0, 4.0
MOST_WORKERS = 5
OWN = "own"
"""Module of the user's code, in the round's folder."""
PREPROCESS = """
import numpy as np

def make():
    def run(pixels):
        made = np.zeros((3, 8, 8), np.float32)
        made[0] = pixels[0, 0, 0]
        return made
    return run
"""


@dataclass(frozen=True)
class Pipeline:
    """A scenario as it goes into the file. load_s: about how long its requests take to arrive, in seconds."""

    scenario: dict[str, Any]
    load_s: float

    @property
    def executor(self) -> str:
        """Its name."""
        return str(self.scenario["executor"])

    @property
    def text(self) -> str:
        """The file."""
        return str(yaml.safe_dump(self.scenario, sort_keys=False))

    def having(self, **keys: Any) -> Pipeline:
        """The same with other keys."""
        return replace(self, scenario={**self.scenario, **keys})

    def behind(self, function: str, *, form: str = "raw", source: dict[str, Any] | None = None) -> Pipeline:
        """The same behind a preprocessing stage of the user's own, `own:<function>`, on small images."""
        stages = [stage for stage in self.scenario["stages"] if "preprocess" not in stage][:2]
        first = {"preprocess": {"factory": f"{OWN}:{function}", "resize": None, "crop": 8, "capacity": 8}}
        images = source or {"images": "synthetic", "height": 24, "width": 32, "count": 3}
        return self.having(source={**images, "as": form}, stages=[first, *stages])

    def lasting(self, seconds: float) -> Pipeline:
        """The same with an open load that lasts."""
        load = {"arrivals": "poisson", "rate": "100/s", "requests": round(100 * seconds), "warmup": 3, "seed": 1}
        return Pipeline({**self.scenario, "load": load}, seconds)


def draw(rng: Random, executor: str) -> Pipeline:
    """A scenario without a fault in it."""
    stages: list[dict[str, Any]] = []
    workers_left = MOST_WORKERS
    for index in range(rng.choice((1, 2, 2, 3, 4))):
        if not workers_left:
            break
        workers = min(rng.choice((1, 1, 1, 2, 3)), workers_left)
        workers_left -= workers
        stages.append(_stage(rng, index, workers))
    load, load_s = _closed(rng) if rng.random() < 0.3 else _open(rng)
    sheds = load["arrivals"] != "closed" and rng.random() < 0.4
    scenario = {
        "name": "faults",
        "executor": executor,
        "load": {**load, "warmup": rng.choice((0, 0, 5, 20)), "seed": rng.randrange(1000)},
        "stages": stages,
        "on_full": "shed" if sheds else "block",
        "deadlines": {"startup": f"{STARTUP_S:g} s", "progress": f"{PROGRESS_S:g} s"},
    }
    pipeline = Pipeline(scenario, load_s)
    return pipeline.behind("make") if rng.random() < 0.15 else pipeline


def _stage(rng: Random, index: int, workers: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": f"stage{index}",
        "workers": workers,
        "capacity": rng.choice((1, 2, 3, 4, 8, 16, 64)),
    }
    if rng.random() < 0.35:
        options["batch"] = {"max": rng.choice((2, 3, 4)), "timeout": f"{rng.choice((0, 1, 3))} ms"}
    if rng.random() < 0.4:
        return {"null": {**options, "payload": rng.choice((8, 8, 4096, 200_000))}}
    distribution = rng.choice(("constant", "exponential", "lognormal"))
    return {"delay": {**options, "distribution": distribution, "mean": f"{rng.choice((100, 500, 1000, 2500))} us"}}


def _closed(rng: Random) -> tuple[dict[str, Any], float]:
    seconds = rng.uniform(0.3, 1.0)
    length = {"duration": f"{seconds:.2f} s"} if rng.random() < 0.5 else {"requests": rng.randrange(50, 400)}
    return {"arrivals": "closed", "concurrency": rng.choice((1, 2, 4, 16)), **length}, seconds


def _open(rng: Random) -> tuple[dict[str, Any], float]:
    rate_rps, seconds = rng.choice((80, 200, 400, 800)), rng.uniform(0.3, 1.2)
    kind = rng.choice(("constant", "poisson", "poisson", "gamma", "bursts"))
    load: dict[str, Any] = {"arrivals": kind, "rate": f"{rate_rps}/s", "requests": round(rate_rps * seconds)}
    if kind == "gamma":
        load["cv"] = rng.choice((0.3, 2.0))
    if rng.random() < 0.1:
        del load["rate"]
        load.update(utilisation=0.5, calibration="200 ms")
    return load, seconds
