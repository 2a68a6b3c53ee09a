"""Scenario files: YAML in, one frozen, validated `Scenario` out. yaml is imported nowhere else.

model       every key that a scenario may hold; those of stages and loads come from harness.registry
reading     text to plain data, with the line of each key
overriding  what `--set` puts over it
varying     what `--vary` makes of it: axes and their combinations
problems    validation, and errors that name the file, the line and the key path
finding     which file a person means
loading     all of these in turn; the way back, and the JSON Schema
"""

from harness.scenario.finding import find
from harness.scenario.loading import dump, from_mapping, load, read, schema, with_overrides
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
from harness.scenario.overriding import texts_of
from harness.scenario.problems import located
from harness.scenario.varying import Axis, combinations, parse_axes

__all__ = [
    "Axis",
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
    "combinations",
    "dump",
    "find",
    "from_mapping",
    "load",
    "located",
    "parse_axes",
    "read",
    "schema",
    "texts_of",
    "with_overrides",
]
