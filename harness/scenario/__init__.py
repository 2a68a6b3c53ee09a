"""Scenario files: YAML in, one frozen, validated `Scenario` out. yaml is imported nowhere else.

units     durations and rates as users write them (`5 ms`, `20/s`)
model     every key that a scenario may hold, with its default and what it means
loading   reading, overriding, and errors that name the file, the line and the key path
"""

from harness.scenario.loading import dump, load, schema, with_overrides
from harness.scenario.model import (
    Batch,
    Closed,
    Delay,
    Inference,
    Load,
    Null,
    OpenLoad,
    Postprocess,
    Preprocess,
    Scenario,
    Source,
    StageOptions,
)

__all__ = [
    "Batch",
    "Closed",
    "Delay",
    "Inference",
    "Load",
    "Null",
    "OpenLoad",
    "Postprocess",
    "Preprocess",
    "Scenario",
    "Source",
    "StageOptions",
    "dump",
    "load",
    "schema",
    "with_overrides",
]
