"""What may be given as a scenario, and what may be set over it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from harness import scenario as scenarios
from harness.scenario import Scenario

ScenarioLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Scenario
"""A scenario: the name of one (in the working directory, in ./scenarios, or one that comes with the package), the path
of a file, a mapping with the keys of such a file, or a Scenario."""
Overrides: TypeAlias = Mapping[str, Any] | Sequence[str]
"""What is set over a scenario: {"load.rate": "20/s", "stages.inference.batch.max": 4}, or ["load.rate=20/s"]."""


def load_scenario(scenario: ScenarioLike, overrides: Overrides | None = None) -> Scenario:
    """Read and validate a scenario, with `overrides` set over it.

    Relative file names count from the scenario file's folder; in a mapping, and in overrides, from the working
    directory. Raises UsageError where there is no such file, and ScenarioError, which lists every problem with its
    file, line and key path.
    """
    texts = scenarios.texts_of(overrides)
    if isinstance(scenario, Scenario):
        return scenarios.with_overrides(scenario, texts)
    if isinstance(scenario, Mapping):
        return scenarios.from_mapping(scenario, texts)
    return scenarios.load(scenarios.find(Path(scenario)), texts)


@contextlib.contextmanager
def scenario_file(scenario: ScenarioLike) -> Iterator[Path]:
    """A scenario as the file that every study begins with; of one that is in memory, a file for the time being."""
    if isinstance(scenario, Mapping | Scenario):
        loaded = load_scenario(scenario)
        with tempfile.TemporaryDirectory(prefix="harness-scenario-") as folder:
            path = Path(folder, f"{loaded.name}.yaml")
            path.write_text(scenarios.dump(loaded), encoding="utf-8")
            yield path
    else:
        yield scenarios.find(Path(scenario))
